"""What the engine has of a stack that its state does not know: left over, or managed by another state."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import catalogue
from operations.engine.protocol import Container, Engine, Network, Volume
from operations.stack.state import StackState


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftovers:
    """What carries a stack's label on the engine."""

    containers: tuple[Container, ...]
    networks: tuple[Network, ...]
    volumes: tuple[Volume, ...]

    @property
    def data(self) -> tuple[Volume, ...]:
        """Volumes that may hold data that cannot be recreated: all that are not known to hold something else."""
        return tuple(volume for volume in self.volumes if not _can_be_recreated(volume))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not (self.containers or self.networks or self.volumes)

    def __str__(self) -> str:
        kinds = {
            "container": [one.name for one in self.containers],
            "network": [one.name for one in self.networks],
            "volume": [one.name for one in self.volumes],
        }
        return ", ".join(f"{kind} {name}" for kind, names in kinds.items() for name in names)


def _can_be_recreated(volume: Volume) -> bool:
    service = volume.service or ""
    return service == catalogue.SCRATCH_SERVICE or service.endswith(catalogue.FILES_SUFFIX)


def labelled(engine: Engine, stack: str) -> Leftovers:
    """Return everything that carries the stack's label."""
    return Leftovers(
        containers=engine.containers(stack), networks=engine.networks(stack), volumes=engine.volumes(stack)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class UnknownContainers:
    """A stack's containers that its state does not know."""

    left: tuple[Container, ...]
    """What an interrupted update left: they do not run, or the update was creating them. They hold no data."""
    foreign: tuple[Container, ...]
    """What runs and was not being created: another state manages it."""


def unknown_containers(state: StackState, containers: Collection[Container]) -> UnknownContainers:
    """Return the containers of a stack that its state does not know."""
    unknown = [one for one in containers if one.id not in state.container_ids]
    left = tuple(one for one in unknown if one.state != "running" or one.name in state.pending_names)
    return UnknownContainers(left=left, foreign=tuple(one for one in unknown if one not in left))


def unknown_data(stack: str, state: StackState, volumes: Collection[Volume]) -> tuple[Volume, ...]:
    """Return volumes that have the names of this stack's data but are not in its state."""
    names = frozenset(catalogue.data_volumes(stack)) - state.volume_names
    return tuple(volume for volume in volumes if volume.name in names)
