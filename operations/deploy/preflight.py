"""What `make up` does before `pulumi up`: refuses what cannot work, and clears what interrupted updates left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from operations.checks import machine
from operations.checks.drift import Difference, differences
from operations.checks.leftovers import Leftovers, divide, labelled
from operations.checks.result import Check, CheckState
from operations.checks.stack import missing_images
from operations.console import terminal
from operations.console.errors import OperationError
from operations.deploy.bring_back import bring_back, confirm_lost_data, plan
from operations.engine.protocol import Engine
from operations.stack import orphans
from operations.stack.backend import Lock
from operations.stack.pulumi_cli import PulumiCli
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


def refuse_foreign(target: Target, foreign: Leftovers) -> None:
    """Refuse to deploy next to what another state manages under this stack's name.

    Raises:
        OperationError: with all of it by name.
    """
    if foreign.is_empty:
        return
    volumes = " ".join(volume.name for volume in foreign.data)
    raise OperationError(
        f"another state manages a stack of this name on the engine, or that state is lost: {foreign}. "
        "Nothing was changed",
        where=f"stack {target.stack}, backend {target.environment.get('PULUMI_BACKEND_URL', 'as logged in')}",
        fix=[
            "use the state that created them: set PULUMI_BACKEND_URL (and its passphrase) as it was then",
            "or use another stack name and other ports",
            f"or, if that state is lost, remove them: `make down STACK={target.stack} LEFTOVERS=1`",
            *(
                [f"or, if no container uses the data and you do not need it: `docker volume rm {volumes}`"]
                * bool(volumes)
            ),
        ],
    )


def _refresh(pulumi: PulumiCli, *options: str) -> None:
    pulumi.stream("refresh", "--yes", "--skip-preview", *options)


def clear_leftovers(pulumi: PulumiCli, left: Leftovers, engine: Engine) -> None:
    """Forget what an interrupted update was creating, and remove what it left; that holds no data.

    Raises:
        OperationError: when another update runs: Pulumi could not lock the state, and nothing was removed.
    """
    terminal.say("an update was interrupted: comparing its state with the engine")
    _refresh(pulumi, "--clear-pending-creates")
    for container in left.containers:
        terminal.say(f"removing {container.name}, left by an update that was interrupted")
        engine.remove_container(container.id)
    for network in left.networks:
        terminal.say(f"removing network {network.name}, left by an update that was interrupted")
        engine.remove_network(network.id)


def end_orphans(target: Target) -> None:
    """End plugins of updates that were killed: they may still be creating what they were asked for."""
    for name in orphans.end(orphans.orphans(target.checkout.project, target.environment)):
        terminal.say(f"ending {name}, left by an update that was killed")


def prepare_stack(target: Target, engine: Engine, *, yes: bool = False) -> tuple[str, ...]:
    """Prepare stack and engine for `pulumi up`, and return the URNs of what that must replace.

    Creates the stack, or reconciles its state after an interruption, or brings back what is gone or stopped.

    Raises:
        OperationError: when something is in the way that the user has to decide on.
    """
    pulumi = target.pulumi()
    end_orphans(target)
    # Before the state is read; `leftovers` says why.
    found = labelled(engine, target.stack)
    if not target.exists():
        refuse_foreign(target, divide(StackState({}), found).foreign)
        terminal.say(f"creating stack {target.stack}")
        pulumi.answer("stack", "init")
        return ()
    if target.backend:
        locks = target.backend.locks(target.checkout.project, target.stack)
        clear_stale_locks(locks, lambda: pulumi.answer("cancel", "--yes"))
    state = target.state()
    divided = divide(state, found)
    refuse_foreign(target, divided.foreign)
    if state.pending or divided.left.containers or divided.left.networks:
        clear_leftovers(pulumi, divided.left, engine)
        state, found = target.state(), labelled(engine, target.stack)
    differing = differences(state, found, [volume.name for volume in engine.volumes()])
    confirm_lost_data(differing, protected=target.is_protected, yes=yes)
    doing = plan(state, differing)
    _forget(pulumi, differing, doing.refresh, missing_images(state, engine))
    return bring_back(doing, engine)


def _forget(
    pulumi: PulumiCli, differing: Collection[Difference], gone: Collection[str], images: Collection[str]
) -> None:
    """Let Pulumi see that these no longer exist (URNs), so that the update creates them again."""
    if images:
        names = ", ".join(urn.rpartition("::")[2] for urn in images)
        terminal.say(f"images are gone from the engine and will be built again: {names}")
    if gone:
        names = ", ".join(f"{one.kind} {one.name}" for one in differing if one.urn in gone)
        terminal.say(f"gone from the engine, and will be created again: {names}")
    if images or gone:
        _refresh(pulumi, *(part for urn in (*images, *gone) for part in ("--target", urn)))
