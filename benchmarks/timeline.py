"""Where the time of a `pulumi up` goes: when each resource was worked on, and which chain of them was the longest.

Pulumi's event log has whole seconds only, so it is read while it is written and the clock is ours. Who waited for
whom is in the state.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """When something was worked on; seconds since the command was started."""

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
    """Seconds between the end of what it depends on (or the command's start) and its own start."""
    span: Span


@dataclass(kw_only=True, slots=True)
class Recording:
    """Events with the time at which they were written."""

    path: Path
    started: float = field(default_factory=time.monotonic)
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    _read: int = 0

    def take(self) -> None:
        """Take in what was written since the last time; a line not yet written to its end waits."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                added = file.read()
        except FileNotFoundError:
            return
        now = time.monotonic() - self.started
        complete, newline, _ = added.rpartition(b"\n")
        if newline:
            self._read += len(complete) + 1
            self.events += [(now, json.loads(line)) for line in complete.splitlines() if line]


@contextmanager
def recorded(path: Path) -> Iterator[Recording]:
    """Record the event log that a command writes to `path` meanwhile."""
    recording = Recording(path=path)
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
    """Give when each resource that is no component was worked on, by URN."""
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
    """Give what each resource of an exported state waits for: its dependencies and its provider."""
    found = {}
    for resource in (exported.get("deployment") or {}).get("resources") or ():
        needed = set(resource.get("dependencies") or ())
        if resource.get("provider"):
            needed.add(resource["provider"].rpartition("::")[0])
        found[resource["urn"]] = frozenset(needed)
    return found


def critical_path(worked: Mapping[str, Span], needed: Mapping[str, frozenset[str]]) -> tuple[Step, ...]:
    """Give the chain that ends with what ended last, each step after the one it waited for longest."""
    if not worked:
        return ()
    path: list[Step] = []
    urn: str | None = max(worked, key=lambda one: worked[one].end)
    while urn:
        span = worked[urn]
        # Only what ended before: a resource can depend on one that is read, or replaced, after it.
        before = [one for one in needed.get(urn, ()) if one in worked and worked[one].end <= span.start + 0.05]
        last = max(before, key=lambda one: worked[one].end, default=None)
        since = worked[last].end if last else 0.0
        path.append(Step(urn=urn, waited=max(span.start - since, 0.0), span=span))
        urn = last
    return tuple(reversed(path))


def label(urn: str) -> str:
    """Write a resource for people: its type without package, and its name."""
    _, _, tail = urn.partition("::")
    parts = tail.split("::")
    kind = parts[-2].rpartition("$")[2].rpartition(":")[2]
    return f"{kind} {parts[-1]}"
