"""Whose it is what carries a stack's label on the engine: of this state, left over by it, or another state's.

The name of a stack is no proof: another user, another backend or a lost state may have used it too. The id of the
stack is: the program draws it once, the state holds it, and the data volumes carry it
(`catalogue.STACK_ID_LABEL`). So this is the rule by which operations remove anything:

1. **Only what carries the id of this state.** A state without an id, because nothing was deployed, owns nothing.
   What has no id, such as containers and networks, belongs to the one to whom all data volumes of the stack
   belong. What an interrupted update was creating is known by its name, partly random.
2. **What is another's is named and refused before anything is removed.**
3. **Only after Pulumi itself could lock the state**, with any backend (`preflight.prepare_stack` refreshes first):
   then no other update runs that is creating what looks left over.
4. **The engine is listed before the state is read.** Pulumi first writes into the state what it is about to
   create. So what is listed, and not in the state that is read later, no running update is creating.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import catalogue
from operations.engine.protocol import Container, Engine, Network, Volume
from operations.stack.state import StackState


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftovers:
    """What carries a stack's label on the engine."""

    containers: tuple[Container, ...] = ()
    networks: tuple[Network, ...] = ()
    volumes: tuple[Volume, ...] = ()

    @property
    def data(self) -> tuple[Volume, ...]:
        """Volumes that may hold data that cannot be recreated: all that are not known to hold something else."""
        return tuple(volume for volume in self.volumes if not _can_be_recreated(volume))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not (self.containers or self.networks or self.volumes)

    @property
    def keys(self) -> frozenset[str]:
        """What identifies each: a container's state changes while it stays the same one."""
        containers, networks = (one.id for one in self.containers), (one.id for one in self.networks)
        return frozenset({*containers, *networks, *(f"volume {one.name}" for one in self.volumes)})

    def among(self, keys: Collection[str]) -> Leftovers:
        """Return those that have one of these keys."""
        return Leftovers(
            containers=tuple(one for one in self.containers if one.id in keys),
            networks=tuple(one for one in self.networks if one.id in keys),
            volumes=tuple(one for one in self.volumes if f"volume {one.name}" in keys),
        )

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
class Divided:
    """What carries a stack's label, by whose it is."""

    known: Leftovers
    """What the state knows."""
    left: Leftovers
    """What this state created and does not know: an interrupted update left it."""
    foreign: Leftovers
    """What another state manages, or one that is lost did; also what nothing says the owner of."""


def divide(state: StackState, found: Leftovers) -> Divided:
    """Return what was found by whose it is; `found` must have been listed before the state was read."""
    inherited = _owner_of_unmarked(found)

    def is_left(one: Container | Network | Volume) -> bool:
        if one.stack_id is None and one.name in state.pending_names:
            return True
        owner = one.stack_id or inherited
        return owner is not None and owner == state.stack_id

    known = found.among(
        {*state.container_ids, *state.network_ids, *(f"volume {name}" for name in state.volume_names)}
    )
    rest = found.among(found.keys - known.keys)
    left = Leftovers(
        containers=tuple(filter(is_left, rest.containers)),
        networks=tuple(filter(is_left, rest.networks)),
        volumes=tuple(filter(is_left, rest.volumes)),
    )
    return Divided(known=known, left=left, foreign=rest.among(rest.keys - left.keys))


def _owner_of_unmarked(found: Leftovers) -> str | None:
    """Return the id of the only owner of the stack's data volumes; None when there is none, or several."""
    owners = {volume.stack_id for volume in found.volumes if volume.service == catalogue.DATA_SERVICE}
    return owners.pop() if len(owners) == 1 else None


def unknown_data(stack: str, state: StackState, volumes: Collection[Volume]) -> tuple[Volume, ...]:
    """Return volumes that have the names of this stack's data, and are neither in its state nor carry its id."""
    names = frozenset(catalogue.data_volumes(stack)) - state.volume_names
    own = state.stack_id
    return tuple(one for one in volumes if one.name in names and (own is None or one.stack_id != own))
