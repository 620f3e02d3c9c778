"""What `make up` does before `pulumi up`: refuses what cannot work, and clears what interrupted updates left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from operations.checks import machine
from operations.checks.leftovers import unknown_containers
from operations.checks.result import Check, CheckState
from operations.checks.stack import missing_images
from operations.console import terminal
from operations.console.errors import OperationError
from operations.engine.protocol import Engine
from operations.stack.backend import Lock
from operations.stack.state import StackState
from operations.stack.target import Target


def refuse_broken(checks: Collection[Check], stack: str) -> None:
    """Stop when one of the checks found something that must be fixed first.

    Raises:
        OperationError: with all findings at once.
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
    """Check ports, disk and, where an engine runs, whether it grants the services' limits.

    Raises:
        OperationError: when a port is taken, the disk is full, or a limit is larger than the engine.
    """
    refuse_broken(machine.quick(target.stack, target.settings, engine, folders), target.stack)


def clear_stale_locks(locks: Collection[Lock], cancel: Callable[[], object]) -> None:
    """Remove locks of processes that no longer exist.

    Raises:
        OperationError: when a process holds a lock.
    """
    held = [lock for lock in locks if not lock.is_stale]
    if held:
        lock = held[0]
        raise OperationError(
            f"another update of this stack runs: process {lock.pid} of {lock.user}@{lock.host}, "
            f"since {lock.since}",
            where=str(lock.path),
            fix=["wait for it", "if you are sure that it no longer exists: `pulumi cancel`"],
        )
    if locks:
        terminal.say(f"clearing the lock of an update that was killed (process {next(iter(locks)).pid})")
        cancel()


def clear_leftovers(target: Target, state: StackState, engine: Engine) -> None:
    """Remove containers that interrupted updates left; they hold no data.

    Raises:
        OperationError: when containers of this stack run that another state manages.
    """
    unknown = unknown_containers(state, engine.containers(target.stack))
    if unknown.foreign:
        names = ", ".join(one.name for one in unknown.foreign)
        raise OperationError(
            f"containers of this stack run that its state does not know: {names}",
            where=f"stack {target.stack}, backend {target.environment.get('PULUMI_BACKEND_URL', 'as logged in')}",
            fix=[
                "use the state that created them: set PULUMI_BACKEND_URL (and its passphrase) as it was then",
                f"or, if that state is lost, remove them: `make down STACK={target.stack} LEFTOVERS=1`",
                "or use another stack name and other ports",
            ],
        )
    for container in unknown.left:
        terminal.say(f"removing {container.name}, left by an update that was interrupted")
        engine.remove_container(container.id)


def prepare_stack(target: Target, engine: Engine) -> None:
    """Prepare stack and engine for `pulumi up`: create the stack, or reconcile its state after an interruption.

    Raises:
        OperationError: when something is in the way that the user has to decide on.
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
        terminal.say("an update was interrupted: comparing its state with the engine")
        pulumi.stream("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
        return
    missing = missing_images(state, engine)
    if missing:
        names = ", ".join(urn.rpartition("::")[2] for urn in missing)
        terminal.say(f"images are gone from the engine and will be built again: {names}")
        targets = [part for urn in missing for part in ("--target", urn)]
        pulumi.stream("refresh", "--yes", "--skip-preview", *targets)
