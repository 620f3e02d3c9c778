"""When containers were created, started, healthy and ended, by the engine's events."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import docker

from catalogue import SERVICE_LABEL

_KINDS = ("create", "start", "health_status", "die")


@dataclass(frozen=True, kw_only=True, slots=True)
class Milestones:
    """Seconds since the command was started; None for what did not happen."""

    created: float | None = None
    started: float | None = None
    ready: float | None = None
    """First healthy; for a job: ended with success."""


@dataclass(kw_only=True, slots=True)
class Watch:
    """Events so far, and the wall-clock time from which they are counted."""

    since: float = field(default_factory=time.time)
    events: list[dict[str, Any]] = field(default_factory=list)

    def milestones(self) -> dict[str, Milestones]:
        """Return the milestones of each service."""
        return milestones(self.events, self.since)


@contextmanager
def watched(engine: docker.DockerClient, label: str) -> Iterator[Watch]:
    """Watch the containers with a label until the end of the context."""
    watch = Watch()
    stream = engine.api.events(
        decode=True, filters={"type": ["container"], "event": list(_KINDS), "label": [label]}
    )

    def follow() -> None:
        # Closing the stream ends this thread, possibly in the middle of a line.
        with suppress(Exception):
            watch.events.extend(stream)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    watch.since = time.time()
    try:
        yield watch
    finally:
        # The last event may still be on its way.
        thread.join(0.5)
        stream.close()
        thread.join(5)


def milestones(events: Iterable[Mapping[str, Any]], since: float) -> dict[str, Milestones]:
    """Return the milestones of each service in the events; containers without a service label are skipped."""
    found: dict[str, dict[str, float]] = {}
    for event in events:
        attributes = event["Actor"]["Attributes"]
        service = attributes.get(SERVICE_LABEL)
        if not service:
            continue
        action = str(event["Action"])
        at = event["timeNano"] / 1e9 - since
        times = found.setdefault(service, {})
        if action == "create":
            times.setdefault("created", at)
        elif action == "start":
            times.setdefault("started", at)
        elif action == "health_status: healthy" or (action == "die" and attributes.get("exitCode") == "0"):
            times.setdefault("ready", at)
    return {service: Milestones(**times) for service, times in found.items()}
