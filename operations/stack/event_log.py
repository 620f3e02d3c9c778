"""Follows the event log of a running `pulumi` command: what is in progress, since when, and what failed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_QUIET = frozenset({"same", "refresh", "read", "discard", "remove-pending-replace"})
_DOING = {
    "create": "creating",
    "update": "updating",
    "delete": "deleting",
    "replace": "replacing",
    "create-replacement": "creating",
    "delete-replaced": "deleting the old",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class InProgress:
    """A step that has begun and not ended."""

    name: str
    kind: str
    doing: str
    since: float
    """Seconds since the epoch."""


def _kind(type_token: str) -> str:
    return type_token.rpartition(":")[2]


@dataclass
class EventFile:
    """The file to which a running command writes its events, one JSON document in each line."""

    path: Path
    _read: int = 0

    def added(self) -> list[dict[str, Any]]:
        """Return the events since the last time; an incomplete line is left for the next time."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                added = file.read()
        except FileNotFoundError:
            return []
        complete, newline, _ = added.rpartition(b"\n")
        self._read += len(complete) + len(newline)
        return [event for line in complete.splitlines() if (event := _parsed(line)) is not None]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None  # reading along must never end an update
    return event if isinstance(event, dict) else None


@dataclass
class EventLog:
    """The steps of a running command; each query reads what has been added to the file."""

    path: Path
    failed: list[str] = field(default_factory=list)
    """Names of the resources whose step failed, in order."""
    _steps: dict[str, InProgress] = field(default_factory=dict)
    _file: EventFile = field(init=False)

    def __post_init__(self) -> None:
        self._file = EventFile(self.path)

    def in_progress(self) -> tuple[InProgress, ...]:
        """Return the steps in progress, oldest first."""
        self.read()
        return tuple(sorted(self._steps.values(), key=lambda step: step.since))

    def read(self) -> None:
        """Read what was added since the last time."""
        for event in self._file.added():
            with suppress(KeyError, TypeError, ValueError):  # the heartbeat must never end an update
                self.take(event)

    def take(self, event: dict[str, Any]) -> None:
        """Apply one event."""
        for kind in ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent"):
            if kind not in event:
                continue
            metadata = event[kind]["metadata"]
            urn, operation = metadata["urn"], metadata["op"]
            if kind != "resourcePreEvent":
                self._steps.pop(urn, None)
                if kind == "resOpFailedEvent":
                    self.failed.append(urn.rpartition("::")[2])
            elif operation not in _QUIET and _is_custom(metadata):
                self._steps[urn] = InProgress(
                    name=urn.rpartition("::")[2],
                    kind=_kind(metadata["type"]),
                    doing=_DOING.get(operation, operation),
                    since=float(event["timestamp"]),
                )


def _is_custom(metadata: dict[str, Any]) -> bool:
    # A component is "in progress" for as long as its children are, so it says nothing.
    state = metadata.get("new") or metadata.get("old") or {}
    return bool(state.get("custom"))


def describe(steps: tuple[InProgress, ...], now: float, most: int = 4) -> str:
    """Return in one line what is in progress and for how long."""
    shown = [f"{step.doing} {step.kind} {step.name} ({max(now - step.since, 0):.0f} s)" for step in steps[:most]]
    if len(steps) > most:
        shown.append(f"and {len(steps) - most} more")
    return ", ".join(shown)
