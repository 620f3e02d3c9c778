"""Where the time of a `pulumi up` goes: when each resource was created, and which chain took longest.

Pulumi's event log has only full seconds, so it is read while it is written, and timed here. The dependencies are
in the state.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operations.stack.event_log import EventFile

_POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """When an operation started and ended, in seconds since the command was started."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A part of the critical path."""

    urn: str
    waited: float
    """Seconds between the end of its last dependency (or the start of the command) and its own start."""
    span: Span


@dataclass(kw_only=True, slots=True)
class Recording:
    """Events, each with the time when it was written."""

    file: EventFile
    started: float = field(default_factory=time.monotonic)
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def take(self) -> None:
        """Read what was written since the last time."""
        added = self.file.added()
        now = time.monotonic() - self.started
        self.events += [(now, event) for event in added]


@contextmanager
def recorded(path: Path) -> Iterator[Recording]:
    """Record the event log that a command writes to `path` until the end of the context."""
    recording = Recording(file=EventFile(path))
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(_POLL_SECONDS):
            recording.take()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield recording
    finally:
        ended.set()
        thread.join()
        recording.take()


def spans(events: Iterable[tuple[float, Mapping[str, Any]]]) -> dict[str, Span]:
    """Return the span of each resource's operation, except components', by URN."""
    begun: dict[str, float] = {}
    found: dict[str, Span] = {}
    for at, event in events:
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            if (metadata.get("new") or metadata.get("old") or {}).get("custom"):
                begun.setdefault(metadata["urn"], at)
        elif "resOutputsEvent" in event:
            urn = event["resOutputsEvent"]["metadata"]["urn"]
            if urn in begun:
                found[urn] = Span(start=begun[urn], end=at)
    return found


def dependencies(exported: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Return what each resource of an exported state waits for: its dependencies and its provider."""
    found = {}
    for resource in (exported.get("deployment") or {}).get("resources") or ():
        needed = set(resource.get("dependencies") or ())
        if resource.get("provider"):
            needed.add(resource["provider"].rpartition("::")[0])
        found[resource["urn"]] = frozenset(needed)
    return found


def critical_path(worked: Mapping[str, Span], needed: Mapping[str, frozenset[str]]) -> tuple[Step, ...]:
    """Return the chain that ends with the last operation, each step after its last dependency."""
    if not worked:
        return ()
    path: list[Step] = []
    urn: str | None = max(worked, key=lambda one: worked[one].end)
    while urn:
        span = worked[urn]
        # Only those that ended before: a resource can depend on one that is read or replaced after it.
        before = [one for one in needed.get(urn, ()) if one in worked and worked[one].end <= span.start + 0.05]
        last = max(before, key=lambda one: worked[one].end, default=None)
        since = worked[last].end if last else 0.0
        path.append(Step(urn=urn, waited=max(span.start - since, 0.0), span=span))
        urn = last
    return tuple(reversed(path))


def label(urn: str) -> str:
    """Return a short name of a resource: its type without the package, and its name."""
    _, _, tail = urn.partition("::")
    parts = tail.split("::")
    kind = parts[-2].rpartition("$")[2].rpartition(":")[2]
    return f"{kind} {parts[-1]}"
