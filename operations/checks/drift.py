"""Compares what the state says should run with what the engine has.

Pulumi does so only in a refresh, which every update would have to wait for. The engine's lists take milliseconds
and show what matters: what is gone, does not run, or is cut off.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from operations.checks.leftovers import Leftovers
from operations.engine.protocol import Container
from operations.stack.state import StackState, StateContainer


class Condition(StrEnum):
    """How something differs from what it should be."""

    MISSING = "missing"
    STOPPED = "stopped"
    PAUSED = "paused"
    DEAD = "dead"
    """The engine failed to remove it."""
    RESTARTING = "restarting"
    UNHEALTHY = "unhealthy"
    DISCONNECTED = "disconnected"
    """From one of its networks."""
    STARTING = "starting"
    """Not healthy yet: the one difference that ends by itself."""


_OF_STATE = {
    "created": Condition.STOPPED,
    "exited": Condition.STOPPED,
    "paused": Condition.PAUSED,
    "dead": Condition.DEAD,
    "removing": Condition.DEAD,
    "restarting": Condition.RESTARTING,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One thing that the state knows and that is not as it should be."""

    urn: str
    id: str
    """The engine's; of a volume its name."""
    kind: str
    """container, network or volume."""
    name: str
    """On the engine."""
    service: str
    """Value of `catalogue.SERVICE_LABEL`."""
    condition: Condition
    needed: bool = True
    """Whether something is wrong now. The containers of jobs and of file bundles matter to updates only."""
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.words}"

    @property
    def words(self) -> str:
        """How it differs, in words."""
        return f"{self.condition}{f' ({self.detail})' if self.detail else ''}"


def _of_container(wanted: StateContainer, there: Container | None) -> Iterator[tuple[Condition, str]]:
    if there is None:
        yield Condition.MISSING, ""
        return
    if not wanted.runs:
        return
    cut_off = wanted.networks - frozenset(there.networks)
    if condition := _OF_STATE.get(there.state):
        yield condition, there.status
    elif cut_off:
        yield Condition.DISCONNECTED, f"not in {', '.join(sorted(cut_off))}"
    elif there.health in {"unhealthy", "starting"}:
        yield Condition(there.health), ""


def differences(state: StackState, found: Leftovers, volumes: Collection[str]) -> tuple[Difference, ...]:
    """Return how the engine differs from the state.

    Args:
        state: what should be there.
        found: what carries the stack's label.
        volumes: the names of all volumes of the engine.
    """
    there = {one.id: one for one in found.containers}
    networks = {one.id for one in found.networks}
    differing = [
        Difference(
            urn=one.urn,
            id=one.id,
            kind="container",
            name=one.name,
            service=one.service,
            condition=condition,
            needed=one.runs,
            detail=detail,
        )
        for one in state.containers
        for condition, detail in _of_container(one, there.get(one.id))
    ]
    differing += [
        Difference(
            urn=one.urn, id=one.id, kind=kind, name=one.name, service=one.service, condition=Condition.MISSING
        )
        for kind, wanted, present in (
            ("network", state.networks, networks),
            ("volume", state.volumes, frozenset(volumes)),
        )
        for one in wanted
        if one.id not in present
    ]
    return tuple(differing)
