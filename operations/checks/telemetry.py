"""Checks whether collectors deliver: what they count, and the reasons that they log, in plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import catalogue
from operations.checks.result import Check, broken, note, ok
from operations.console.redaction import redacted
from operations.engine.protocol import Container, Engine
from operations.telemetry import metrics as collector_metrics
from operations.telemetry.metrics import Metrics, MetricsUnreadableError

NAME = "telemetry"
LOG_LINES = 400
RECENT = timedelta(seconds=90)
"""A failed delivery is retried at least every 30 s and takes 10 s to fail: an older failure is over."""
FULL_ENOUGH = 0.5

_SETTINGS: Mapping[str, tuple[str, str, str]] = {
    "clickhouse": ("ClickHouse", "clickhouseEndpoint", "clickhousePassword"),
    "datadog": ("Datadog", "datadogSite", "datadogApiKey"),
    "signoz": ("SigNoz", "signozEndpoint", "signozIngestionKey"),
}


class _Fix(Enum):
    """Which setting of a destination to change."""

    ADDRESS = 1
    SECRET = 2
    TRUST = 3
    NONE = 4


# A pattern in an exporter's message, what it means, and what to change. The first that matches counts.
_MEANINGS: tuple[tuple[str, str, _Fix], ...] = (
    (
        r"code: (516|194|193)\b|\b40[13]\b|Unauthenticated|PermissionDenied|AUTHENTICATION_FAILED",
        "refuses user, password or key",
        _Fix.SECRET,
    ),
    (r"signed by unknown authority", "has a certificate that is not trusted", _Fix.TRUST),
    (r"x509|certificate|tls:", "has a certificate that is not trusted, or no TLS", _Fix.ADDRESS),
    (r"no such host|server misbehaving", "has a name that cannot be resolved", _Fix.ADDRESS),
    (r"connection refused|no route to host|network is unreachable", "does not accept connections", _Fix.ADDRESS),
    (
        r"code: (60|81)\b|UNKNOWN_TABLE|UNKNOWN_DATABASE",
        "has no tables yet: the schema's job has not succeeded",
        _Fix.NONE,
    ),
    (r"\b404\b|NotFound|Unimplemented", "does not know the path: something else answers there", _Fix.ADDRESS),
    (r"deadline exceeded|timeout|Unavailable|\b50[0234]\b|\b429\b", "does not answer in time", _Fix.NONE),
)


def check(
    outputs: Mapping[str, Any],
    engine: Engine,
    containers: Collection[Container],
    *,
    stack: str,
    read: Callable[[str], Metrics] = collector_metrics.read,
    now: datetime | None = None,
) -> Check:
    """Report what collectors of a deployed stack cannot deliver, and why."""
    url = outputs.get("collectorMetricsUrl")
    collectors = [one for one in containers if one.service == catalogue.COLLECTOR.name and one.state == "running"]
    if not url or not collectors:
        return ok(NAME, "not up")
    try:
        metrics = read(str(url))
    except MetricsUnreadableError as error:
        return broken(
            NAME, f"the collector's metrics cannot be read at {url}: {error}", f"`make up STACK={stack}`"
        )
    found: list[str] = []
    fixes: list[str] = []
    for collector in collectors:
        reasons = _reasons(engine.last_lines(collector.id, LOG_LINES), now or datetime.now(UTC))
        for name, message in reasons.items():
            words, fix = _explain(name, redacted(message), stack)
            found.append(words)
            fixes.append(fix)
    if metrics.disk_full:
        found.append("the disk of the collector's queues is full: new signals are refused, queued ones are kept")
        fixes.append("free space on the disk of Docker's engine (`docker system df`)")
    for exporter in metrics.exporters:
        destination, setting, _ = _destination(exporter.name)
        if exporter.lost:
            found.append(f"{exporter.name} lost {exporter.lost} signals: its queue was full")
            fixes.append(f"fix {destination}, or raise letta:telemetryOutageSeconds (docs/telemetry.md)")
        if exporter.refused:
            found.append(f"{destination} refused {exporter.refused} signals for good, and they are lost")
            fixes.append(f"check letta:{setting} and its secret")
    if found:
        return broken(NAME, "; ".join(dict.fromkeys(found)), *dict.fromkeys(fixes))
    waiting = [f"{one.name} {one.waiting:.0%}" for one in metrics.exporters if one.waiting > FULL_ENOUGH]
    if waiting:
        return note(NAME, f"queues fill: {', '.join(waiting)}", "the collector's `docker logs` say why")
    return ok(
        NAME, f"{outputs.get('telemetryProfile')}: {sum(one.sent for one in metrics.exporters)} signals delivered"
    )


def _reasons(log: str, now: datetime) -> dict[str, str]:
    """Return the last recent failure of each exporter, from a collector's JSON log."""
    found: dict[str, str] = {}
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict) or not str(entry.get("msg", "")).startswith("Exporting failed"):
            continue
        # 0.96 writes `name`, later versions the id by OpenTelemetry's convention.
        exporter = str(entry.get("otelcol.component.id") or entry.get("name") or "an exporter")
        when = _time(entry.get("ts"))
        if when and now - when < RECENT:
            found[exporter] = str(entry.get("error", ""))
    return found


def _time(stamp: object) -> datetime | None:
    """Return the time of a log entry: ISO 8601, or seconds since 1970 (0.96)."""
    try:
        if isinstance(stamp, int | float):
            return datetime.fromtimestamp(stamp, UTC)
        return datetime.fromisoformat(str(stamp))
    except ValueError:
        return None


def _destination(exporter: str) -> tuple[str, str, str]:
    return next((words for part, words in _SETTINGS.items() if part in exporter), (exporter, "", ""))


def _explain(exporter: str, message: str, stack: str) -> tuple[str, str]:
    """Return what an exporter's message means, and what to do."""
    destination, address, secret = _destination(exporter)
    meaning, fix = next(
        ((words, fix) for pattern, words, fix in _MEANINGS if re.search(pattern, message, re.IGNORECASE)),
        (f"accepts nothing: {message[:200]}", _Fix.NONE),
    )
    key = {_Fix.ADDRESS: address, _Fix.SECRET: secret, _Fix.TRUST: "telemetryCaBundle", _Fix.NONE: ""}[fix]
    if not key:
        return (
            f"{destination} {meaning}",
            f"the collector's `docker logs` say more; `make up STACK={stack}` tries again",
        )
    command = f"pulumi config set {'--secret ' if fix is _Fix.SECRET else ''}letta:{key} --stack {stack}"
    return f"{destination} {meaning}", f"`{command}`, then `make up STACK={stack}`"
