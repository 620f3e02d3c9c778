"""`make down`: destroys a stack, and makes sure that nothing of it is left on the engine."""

from __future__ import annotations

import catalogue
from operations.checks.leftovers import Leftovers, labelled
from operations.console import terminal
from operations.console.errors import OperationError
from operations.console.run_log import run_log
from operations.engine.protocol import Engine
from operations.stack.target import Target

_ADVICE = ("The resources in the stack have been deleted", "If you want to remove the stack")
"""Lines of Pulumi that are not shown: it advises to remove the stack too, which is what happens next."""


def remove_readers(engine: Engine, stack: str) -> None:
    """End `make traces` of this stack: its container holds the volume."""
    for container in engine.containers():
        if dict(container.labels).get(catalogue.READER_LABEL) == stack:
            engine.remove_container(container.id)


def remove(engine: Engine, left: Leftovers, *, data: bool) -> None:
    """Remove what is left: containers, then networks and volumes; with `data` also volumes with data."""
    for container in left.containers:
        terminal.say(f"removing container {container.name}")
        engine.remove_container(container.id)
    for network in left.networks:
        terminal.say(f"removing network {network.name}")
        engine.remove_network(network.id)
    for volume in left.volumes:
        if data or volume not in left.data:
            terminal.say(f"removing volume {volume.name}")
            engine.remove_volume(volume.name)


def refuse_protected(target: Target) -> None:
    """Refuse to destroy a stack that protects its data.

    Raises:
        OperationError: with how to remove the protection.
    """
    protected = target.state().protected
    if not protected and not target.is_protected:
        return
    stack = target.stack
    what = f"; protected now: {', '.join(protected)}" if protected else ""
    raise OperationError(
        f"stack {stack} protects its data and is not destroyed{what}",
        where=f"letta:protectData in {target.stack_file.path.name}",
        fix=[
            "take a backup, and restore it somewhere to see that it is complete",
            f"`pulumi config set protectData false --stack {stack}`, then `make up STACK={stack}`",
            f"then `make down STACK={stack}`",
        ],
    )


def down(target: Target, *, yes: bool, leftovers: bool) -> None:
    """Destroy the stack, forget it, and check that nothing is left.

    Args:
        target: the stack.
        yes: whether it is confirmed.
        leftovers: also remove what carries the stack's label and is in no state, data included.

    Raises:
        OperationError: when it is protected, declined, fails, or something is left.
    """
    stack = target.stack
    engine = target.engine()
    refuse_protected(target)
    exists = target.exists()
    state_is_empty = target.state().is_empty
    before = labelled(engine, stack)
    if not exists and before.is_empty:
        terminal.say(f"stack {stack} does not exist; nothing to do")
        return
    if exists:
        if not state_is_empty:
            terminal.confirm(f"Destroy stack {stack} with all its data?", yes=yes)
        remove_readers(engine, stack)
        if not state_is_empty:
            with run_log("destroy", stack) as log:
                target.pulumi().stream(
                    *("destroy", "--yes", "--skip-preview", "--suppress-permalink=true"), omit=_ADVICE, log=log
                )
        # An empty stack holds nothing but its history; its settings stay in the stack file.
        target.pulumi().answer("stack", "rm", "--yes", "--preserve-config")
    # What is left of a stack that had resources is its own. Of any other it may be another state's.
    _clean_up(target, engine, own=exists and not state_is_empty, yes=yes, leftovers=leftovers)
    terminal.say(f"stack {stack} is gone: no container, network or volume of it is left")


def _clean_up(target: Target, engine: Engine, *, own: bool, yes: bool, leftovers: bool) -> None:
    left = labelled(engine, target.stack)
    if left.is_empty:
        return
    if leftovers:
        terminal.confirm(f"Remove these resources, which are in no state, data included: {left}?", yes=yes)
        remove_readers(engine, target.stack)
    if leftovers or own:
        remove(engine, left, data=leftovers)
        left = labelled(engine, target.stack)
    if not left.is_empty:
        raise OperationError(
            f"left on the engine with the stack's label: {left}",
            where=f"stack {target.stack}",
            fix=[
                "they are in no state that this backend knows: either another backend manages them "
                "(set PULUMI_BACKEND_URL as it was), or that state is lost",
                f"to remove them, data included: `make down STACK={target.stack} LEFTOVERS=1`",
            ],
        )
