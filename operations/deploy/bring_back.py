"""Brings back what the engine has stopped or no longer has, and the state knows: an update alone does not see it.

Starting or unpausing is enough for what merely does not run. What is gone is forgotten by a refresh of exactly
that, so that the update creates it again. What cannot be started, or is cut off from a network, is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import catalogue
from operations.checks.drift import Condition, Difference
from operations.console import terminal
from operations.engine.protocol import Engine
from operations.stack.state import StackState

_ORDER = {service.name: number for number, service in enumerate(catalogue.SERVICES)}
_STARTABLE = frozenset({Condition.STOPPED, Condition.PAUSED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to do about differences."""

    unpause: tuple[Difference, ...]
    start: tuple[Difference, ...]
    restart: tuple[Difference, ...]
    refresh: tuple[str, ...]
    """URNs."""
    replace: tuple[str, ...]
    """URNs."""


def plan(state: StackState, differing: Collection[Difference]) -> Plan:
    """Return what to do about differences."""
    needed = sorted((one for one in differing if one.needed), key=lambda one: _ORDER.get(one.service, len(_ORDER)))
    gone = [one for one in differing if one.condition is Condition.MISSING]
    stopped = tuple(one for one in needed if one.condition is Condition.STOPPED)
    # A server that starts before Redis never uses it, and a route needs its servers: what is stopped while
    # something is gone is replaced too, because Pulumi knows the order.
    start = () if gone else stopped
    replaced = [one.urn for one in needed if one.condition in {Condition.DISCONNECTED, Condition.DEAD}]
    replaced += [one.urn for one in stopped if one not in start]
    # Jobs that prepared the data which is gone: those of the new data have not run.
    replaced += state.replaced_with([one.urn for one in gone if one.kind == "volume"])
    # What waits for something that is gone or stopped becomes healthy by itself.
    sick = tuple(one for one in needed if one.condition is Condition.UNHEALTHY)
    others = [one for one in needed if one.condition is not Condition.STARTING and one not in sick]
    return Plan(
        unpause=tuple(one for one in needed if one.condition is Condition.PAUSED),
        start=start,
        restart=() if others else sick,
        refresh=tuple(one.urn for one in gone),
        replace=tuple(dict.fromkeys(urn for urn in replaced if urn not in {one.urn for one in gone})),
    )


def confirm_lost_data(differing: Collection[Difference], *, protected: bool, yes: bool) -> None:
    """Say which data is gone from the engine; for a protected stack, ask before an empty volume takes its place.

    Raises:
        OperationError: when that is declined, or there is no terminal to ask at.
    """
    lost = [one.name for one in differing if one.kind == "volume" and one.service == catalogue.DATA_SERVICE]
    if not lost:
        return
    terminal.say(f"DATA IS GONE: the engine no longer has {', '.join(lost)}. What takes its place is empty")
    if protected:
        terminal.confirm("Restore it from a backup first, if there is one. Go on without that data?", yes=yes)


def bring_back(doing: Plan, engine: Engine) -> tuple[str, ...]:
    """Start and restart containers; return the URNs of what the update must replace instead, or as well."""
    failed: list[str] = []
    steps: tuple[tuple[str, tuple[Difference, ...], Callable[[str], str | None]], ...] = (
        ("unpausing", doing.unpause, engine.start),
        ("starting", doing.start, engine.start),
        ("restarting", doing.restart, engine.restart),
    )
    for word, those, act in steps:
        for one in those:
            terminal.say(f"{word} {one.name}, which was {one.words}")
            if reason := act(one.id):
                terminal.say(f"    it will be replaced: {reason}")
                failed.append(one.urn)
    return (*doing.replace, *failed)
