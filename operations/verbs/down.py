"""`make down`: destroys a stack, and makes sure that nothing of it is left on the engine."""

from __future__ import annotations

from dataclasses import dataclass

import catalogue
from operations.console import terminal
from operations.console.errors import OperationError
from operations.console.run_log import run_log
from operations.engine.protocol import Container, Engine, Network, Volume
from operations.stack.target import Target

_ADVICE = ("The resources in the stack have been deleted", "If you want to remove the stack")
"""Lines of Pulumi that are not shown: it advises to remove the stack too, which is what happens next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftovers:
    """What carries a stack's label on the engine."""

    containers: tuple[Container, ...]
    networks: tuple[Network, ...]
    volumes: tuple[Volume, ...]

    @property
    def data(self) -> tuple[Volume, ...]:
        """Volumes that may hold what cannot be made again: all that are not known to hold something else."""
        return tuple(volume for volume in self.volumes if not _can_be_made_again(volume))

    @property
    def is_nothing(self) -> bool:
        """Whether the engine is clean of the stack."""
        return not (self.containers or self.networks or self.volumes)

    def words(self) -> str:
        """Name everything."""
        kinds = {
            "container": [one.name for one in self.containers],
            "network": [one.name for one in self.networks],
            "volume": [one.name for one in self.volumes],
        }
        return ", ".join(f"{kind} {name}" for kind, names in kinds.items() for name in names)


def _can_be_made_again(volume: Volume) -> bool:
    service = volume.service or ""
    return service == catalogue.SCRATCH_SERVICE or service.endswith(catalogue.FILES_SUFFIX)


def look(engine: Engine, stack: str) -> Leftovers:
    """See what carries the stack's label."""
    return Leftovers(
        containers=engine.containers(stack), networks=engine.networks(stack), volumes=engine.volumes(stack)
    )


def remove_readers(engine: Engine, stack: str) -> None:
    """End `make traces` of this stack: its container would hold the volume."""
    for container in engine.containers():
        if dict(container.labels).get(catalogue.READER_LABEL) == stack:
            engine.remove_container(container.id)


def remove(engine: Engine, left: Leftovers, *, data: bool) -> None:
    """Remove what is left: containers, then networks and volumes; data only when told so."""
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
    """Stop before a stack that protects its data is destroyed.

    Raises:
        OperationError: with the way.
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
            "take a backup, and restore it somewhere to see that it is one",
            f"`pulumi config set protectData false --stack {stack}`, then `make up STACK={stack}`",
            f"then `make down STACK={stack}`",
        ],
    )


def down(target: Target, *, yes: bool, leftovers: bool) -> None:
    """Destroy the stack, forget it, and check that nothing is left.

    Args:
        target: the stack.
        yes: do not ask.
        leftovers: remove also what carries the stack's label and is in no state, data included.

    Raises:
        OperationError: when it is protected, declined, fails, or something is left.
    """
    stack = target.stack
    engine = target.engine()
    refuse_protected(target)
    exists = target.exists()
    state_is_empty = target.state().is_empty
    before = look(engine, stack)
    if not exists and before.is_nothing:
        terminal.say(f"stack {stack} is not there; nothing to do")
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
    # What a stack with resources left behind is its own. Without resources it may be another state's.
    _clean_up(target, engine, own=exists and not state_is_empty, yes=yes, leftovers=leftovers)
    terminal.say(f"stack {stack} is gone: no container, network or volume of it is left")


def _clean_up(target: Target, engine: Engine, *, own: bool, yes: bool, leftovers: bool) -> None:
    left = look(engine, target.stack)
    if left.is_nothing:
        return
    if leftovers:
        terminal.confirm(f"Remove what no state knows, data included: {left.words()}?", yes=yes)
        remove_readers(engine, target.stack)
    if leftovers or own:
        remove(engine, left, data=leftovers)
        left = look(engine, target.stack)
    if not left.is_nothing:
        raise OperationError(
            f"left on the engine with the stack's label: {left.words()}",
            where=f"stack {target.stack}",
            fix=[
                "they are in no state that this backend knows: either another backend manages them "
                "(set PULUMI_BACKEND_URL as it was), or that state is lost",
                f"to remove them, data included: `make down STACK={target.stack} LEFTOVERS=1`",
            ],
        )
