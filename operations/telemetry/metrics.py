"""Reads a collector's own metrics: how many signals each exporter sent, holds in its queue, and lost."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

UNITS: Mapping[str, str] = {"traces": "spans", "metrics": "metric_points", "logs": "log_records"}
"""Kind of a queue → the name of its items in counters."""

REQUEST_SECONDS = 5.0
_SAMPLE = re.compile(r"^otelcol_([a-z_]+?)(?:_total)?(?:\{([^}]*)\})? ([0-9.eE+-]+)$", re.MULTILINE)
_LABEL = re.compile(r'([a-z_]+)="([^"]*)"')


class MetricsUnreadableError(Exception):
    """The metrics cannot be read; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exporter:
    """The signals of one exporter, counted since the collector's start."""

    name: str
    sent: int = 0
    refused: int = 0
    """Dropped, because the destination refused them permanently."""
    lost: int = 0
    """Dropped, because the queue was full."""
    waiting: float = 0.0
    """Used part of the queue, from 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """The metrics of one collector."""

    exporters: tuple[Exporter, ...] = ()
    """Sorted by name."""
    disk_full: bool = False
    """Signals are refused because the disk is full; only our builds report it."""


def parse(text: str) -> Metrics:
    """Return the metrics in a text in Prometheus' format."""
    counted: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    disk_full = False
    for counter, labels, value in _SAMPLE.findall(text):
        name = dict(_LABEL.findall(labels)).get("exporter")
        if name:
            counted[name][counter] += float(value)
        disk_full |= counter == "queue_disk_full" and float(value) > 0

    def number(name: str, kind: str) -> int:
        return int(sum(counted[name][f"exporter_{kind}_{unit}"] for unit in UNITS.values()))

    exporters = tuple(
        Exporter(
            name=name,
            sent=number(name, "sent"),
            refused=number(name, "send_failed"),
            lost=number(name, "enqueue_failed"),
            waiting=counted[name]["exporter_queue_size"] / (counted[name]["exporter_queue_capacity"] or 1),
        )
        for name in sorted(counted)
    )
    return Metrics(exporters=exporters, disk_full=disk_full)


def read(url: str) -> Metrics:
    """Fetch a collector's metrics.

    Raises:
        MetricsUnreadableError: when it does not answer.
    """
    # Not through a proxy: it is on this machine, or where DOCKER_HOST points.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=REQUEST_SECONDS) as response:
            text: str = response.read().decode(errors="replace")
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        raise MetricsUnreadableError(str(getattr(error, "reason", error))) from None
    return parse(text)
