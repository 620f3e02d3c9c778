"""What `make up` does before `pulumi up`: refuses what cannot work, and clears what interrupted runs left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from operations.checks import machine
from operations.checks.result import Check, CheckState
from operations.console import terminal
from operations.console.errors import OperationError
from operations.engine.protocol import Container, Engine
from operations.stack.backend import Lock
from operations.stack.decryption import Decrypter, WrongPassphraseError
from operations.stack.state import StackState
from operations.stack.target import Target


def refuse_broken(checks: Collection[Check], stack: str) -> None:
    """Stop when one of the checks found something that must be mended first.

    Raises:
        OperationError: naming all of it at once.
    """
    found = [check for check in checks if check.state is CheckState.BROKEN]
    if found:
        raise OperationError(
            "this machine cannot run the stack as it is; nothing was changed:\n"
            + "\n".join(f"  - {check.detail}" for check in found),
            where=f"stack {stack}",
            fix=[step for check in found for step in check.fix],
        )


def check_machine(target: Target, engine: Engine | None, folders: Mapping[str, Path]) -> None:
    """Look at ports and disk.

    Raises:
        OperationError: when they do not suffice.
    """
    refuse_broken(machine.quick(target.stack_file, engine, folders), target.stack)


def _opened(value: Any, decrypter: Decrypter) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"secure"} and isinstance(value["secure"], str):
            return decrypter.open(value["secure"])
        return {key: _opened(inner, decrypter) for key, inner in value.items()}
    return value


def check_settings(target: Target) -> None:
    """Check the settings before anything is built or installed; the program checks them again.

    Left to the program alone when the stack file holds secrets that cannot be opened here.

    Raises:
        OperationError: when the stack file was salted with another passphrase.
        settings.SettingsError: with every problem at once.
    """
    import settings

    decrypter, file = target.decrypter, target.stack_file
    secret = [key for key, value in file.config.items() if any(True for _ in _ciphertexts(value))]
    if secret and decrypter is None:
        return
    try:
        raw = {key: _opened(value, decrypter) if decrypter else value for key, value in file.config.items()}
    except WrongPassphraseError:
        raise OperationError(
            f"a secret in {file.path.name} was encrypted with another passphrase than the file's salt",
            where=str(file.path),
            fix=[f"set it again: `pulumi config set --secret {key}`" for key in secret],
        ) from None
    plain_parts = settings.read_stack_file(file.path).plain_parts if file.path.is_file() else ()
    settings.load(raw, secret, stack=target.stack, plain_parts=plain_parts)


def _ciphertexts(value: object) -> Any:
    from operations.stack.checkout import ciphertexts

    return ciphertexts(value)


def clear_stale_locks(locks: Collection[Lock], cancel: Callable[[], object]) -> None:
    """Take away locks that processes left that are gone.

    Raises:
        OperationError: when somebody holds a lock.
    """
    held = [lock for lock in locks if not lock.is_stale]
    if held:
        lock = held[0]
        raise OperationError(
            f"another update of this stack runs: process {lock.pid} of {lock.user}@{lock.host}, "
            f"since {lock.since}",
            where=str(lock.path),
            fix=["wait for it", "if it is surely gone: `pulumi cancel`"],
        )
    if locks:
        terminal.say(f"clearing the lock of an update that was killed (process {next(iter(locks)).pid})")
        cancel()


def missing_images(state: StackState, engine: Engine) -> tuple[str, ...]:
    """Give the URNs of images that the state knows and the engine has no more (somebody pruned them)."""
    images = state.images
    if not images:
        return ()
    present = {tag for image in engine.images() for tag in image.tags}
    return tuple(urn for urn, name in images.items() if name not in present)


def leftovers(
    state: StackState, containers: Collection[Container]
) -> tuple[tuple[Container, ...], tuple[Container, ...]]:
    """Sort the stack's containers that its state does not know: what an interruption left, what is somebody's.

    Left behind is what does not run, or what an interrupted update was creating. What runs and was not being
    created belongs to a state that is elsewhere.
    """
    unknown = [one for one in containers if one.id not in state.container_ids]
    left = tuple(one for one in unknown if one.state != "running" or one.name in state.pending_names)
    return left, tuple(one for one in unknown if one not in left)


def clear_leftovers(target: Target, state: StackState, engine: Engine) -> None:
    """Remove containers that interrupted updates left; they hold no data.

    Raises:
        OperationError: when containers of this stack run that another state manages.
    """
    left, foreign = leftovers(state, engine.containers(target.stack))
    if foreign:
        names = ", ".join(one.name for one in foreign)
        raise OperationError(
            f"containers of this stack run that its state does not know: {names}",
            where=f"stack {target.stack}, backend {target.environment.get('PULUMI_BACKEND_URL', 'as logged in')}",
            fix=[
                "use the state that made them: set PULUMI_BACKEND_URL (and its passphrase) as it was then",
                f"or, if that state is lost, remove them: `make down STACK={target.stack} LEFTOVERS=1`",
                "or give this stack another name and other ports",
            ],
        )
    for container in left:
        terminal.say(f"removing {container.name}, left by an update that was interrupted")
        engine.remove_container(container.id)


def prepare_stack(target: Target, engine: Engine) -> None:
    """Bring stack and engine to a point from where `pulumi up` goes through.

    Raises:
        OperationError: when something stands in the way that only a person can decide on.
    """
    pulumi = target.pulumi()
    if not target.exists():
        clear_leftovers(target, StackState({}), engine)
        terminal.say(f"creating stack {target.stack}")
        pulumi.answer("stack", "init")
        return
    if target.backend:
        locks = target.backend.locks(target.checkout.project, target.stack)
        clear_stale_locks(locks, lambda: pulumi.answer("cancel", "--yes"))
    state = target.state()
    clear_leftovers(target, state, engine)
    if state.pending:
        terminal.say("an update was interrupted: asking the engine what it did and did not create")
        pulumi.stream("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
        return
    missing = missing_images(state, engine)
    if missing:
        names = ", ".join(urn.rpartition("::")[2] for urn in missing)
        terminal.say(f"images are gone from the engine and will be built again: {names}")
        targets = [part for urn in missing for part in ("--target", urn)]
        pulumi.stream("refresh", "--yes", "--skip-preview", *targets)
