"""The last step of `make up`: sends a probe span to the published OTLP port, and waits for it at the destinations.

A healthy collector may still deliver nothing: its health check only says that it runs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

import otel
from operations.console import terminal
from operations.console.errors import OperationError
from operations.console.redaction import hide, redacted
from operations.engine.protocol import Engine
from operations.stack.target import Target
from operations.telemetry import clickhouse as clickhouse_http
from operations.telemetry import metrics
from operations.telemetry.trace_files import lines, traces_file, volume_file
from settings import NAMESPACE, telemetry
from toolchain import network

SPAN_NAME = "letta-platform deployed"
SERVICE_NAME = "letta-platform"
# A batch waits up to 10 s; a failed delivery is retried after 5 to 30 s.
DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.5
REQUEST_SECONDS = 10.0
HEARTBEAT_SECONDS = 10.0

Found = Callable[[], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeTarget:
    """One destination at which the probe span must appear."""

    where: str
    """In words."""
    found: Found
    """Whether it is there; raises `NotYetError` with a reason when the destination cannot be queried."""


class NotYetError(Exception):
    """A destination could not be queried this time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OtlpPort:
    """The published OTLP port, and what it requires."""

    endpoint: str
    token: str | None = None
    ca_bundle: str | None = None
    """Certificates in PEM form by which it is trusted, in addition to this machine's."""


def send(to: OtlpPort, trace_id: str) -> None:
    """Send the probe span over OTLP/HTTP.

    Raises:
        NotYetError: when it is not accepted.
    """
    now = str(time.time_ns())
    span = {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": SPAN_NAME,
        "kind": 1,
        "startTimeUnixNano": now,
        "endTimeUnixNano": now,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": SERVICE_NAME}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    headers = {"Authorization": f"Bearer {to.token}"} if to.token else {}
    try:
        with network.client(REQUEST_SECONDS, direct=True, authority=to.ca_bundle) as client:
            # Something else would get the token after a redirection.
            answer = client.post(f"{to.endpoint}/v1/traces", json=body, headers=headers, follow_redirects=False)
    except httpx.HTTPError as error:
        raise NotYetError(str(error) or type(error).__name__) from None
    if not answer.is_success:
        raise NotYetError(f"HTTP {answer.status_code} {redacted(answer.text.strip())[:300]}")


def in_clickhouse(target: otel.ClickHouse, password: str, trace_id: str, *, ca_bundle: str | None = None) -> bool:
    """Return whether ClickHouse has the span, asked from this machine; `ca_bundle` as in `OtlpPort`.

    Raises:
        NotYetError: when it does not answer, or has no such table yet.
    """
    # The database's name is checked by `otel.ClickHouse`, the id is ours.
    query = f'SELECT count() FROM "{target.database}".otel_traces WHERE TraceId = {{id:String}}'  # noqa: S608
    try:
        with network.client(REQUEST_SECONDS, direct=True, authority=ca_bundle) as client:
            answer = clickhouse_http.ask(client, target, password, query, {"id": trace_id})
    except clickhouse_http.ClickHouseError as error:
        raise NotYetError(str(error)) from None
    return answer.strip() not in {"", "0"}


def _clickhouse(target: Target) -> tuple[otel.ClickHouse, str, str | None]:
    """Return where ClickHouse is, its password, and the certificates by which it is trusted."""
    settings = target.settings
    clickhouse = telemetry.destinations(settings).clickhouse
    if clickhouse is None:
        raise OperationError(
            "ClickHouse is not set although the stack runs with it", where=f"{NAMESPACE}:clickhouseEndpoint"
        )
    return clickhouse, target.secret("clickhousePassword"), telemetry.ca_bundle(settings)


def _sent(metrics_url: str, exporter: str, before: int) -> Found:
    """Return a test by the collector's own counters, for a destination that cannot be queried."""

    def found() -> bool:
        try:
            now = {one.name: one.sent for one in metrics.read(metrics_url).exporters}
        except metrics.MetricsUnreadableError as error:
            raise NotYetError(str(error)) from None
        return now.get(exporter, 0) > before

    return found


def otlp_port(target: Target, engine: Engine, outputs: Mapping[str, Any]) -> OtlpPort:
    """Return where a deployed stack receives signals."""
    token = ca_bundle = None
    if "otlpToken" in outputs:
        token = target.pulumi().answer("stack", "output", "otlpToken", "--show-secrets").strip()
        hide([token])
    if volume := outputs.get("otlpCertificatesVolume"):
        ca_bundle = "\n".join(lines(volume_file(target, engine, str(volume), "ca.pem").tail(200)))
    return OtlpPort(endpoint=str(outputs["otlpHttpEndpoint"]).rstrip("/"), token=token, ca_bundle=ca_bundle)


def probe_targets(target: Target, engine: Engine, outputs: Mapping[str, Any], trace_id: str) -> list[ProbeTarget]:
    """Return the destinations at which a span must appear with this stack's profile."""
    profile = otel.PROFILES[str(outputs["telemetryProfile"])]
    found: list[ProbeTarget] = []
    if profile.uses("file/traces"):
        file = traces_file(target, engine)

        def in_file() -> bool:
            return any(trace_id in line for line in lines(file.tail(200)))

        found.append(
            ProbeTarget(where=f"{outputs['tracesFile']} in volume {outputs['tracesVolume']}", found=in_file)
        )
    if profile.uses("clickhouse"):
        clickhouse, password, ca_bundle = _clickhouse(target)
        found.append(
            ProbeTarget(
                where=f"table otel_traces at {clickhouse.address}",
                found=lambda: in_clickhouse(clickhouse, password, trace_id, ca_bundle=ca_bundle),
            )
        )
    url = str(outputs["collectorMetricsUrl"])
    try:
        exporters = metrics.read(url).exporters
    except metrics.MetricsUnreadableError:
        exporters = ()
    for name, words in (("datadog", "Datadog"), ("otlp/signoz", "SigNoz")):
        if not profile.uses(name):
            continue
        short = name.rpartition("/")[2]
        known = [one for one in exporters if short in one.name and one.name.endswith("traces")]
        exporter = known[0].name if known else f"{name}-traces"
        before = known[0].sent if known else 0
        found.append(
            ProbeTarget(where=f"{words} (by the collector's counters)", found=_sent(url, exporter, before))
        )
    return found


def probe(target: Target, engine: Engine, outputs: Mapping[str, Any], *, clock: Any = time) -> None:
    """Send a probe span and wait until it is at all destinations.

    Raises:
        OperationError: when it is not accepted, or does not appear.
    """
    trace_id = secrets.token_hex(16)
    targets = probe_targets(target, engine, outputs, trace_id)
    port = otlp_port(target, engine, outputs)
    started = spoken = clock.monotonic()
    accepted, why = False, ""
    while True:
        try:
            if not accepted:
                send(port, trace_id)
                accepted = True
            targets = [one for one in targets if not one.found()]
            why = ""
        except NotYetError as error:
            why = f": {error}"
        if accepted and not targets:
            terminal.say(f"telemetry: a probe span was sent and has arrived (trace {trace_id})")
            return
        now = clock.monotonic()
        missing = " and ".join(one.where for one in targets) if accepted else port.endpoint
        if now - started > DEADLINE_SECONDS:
            raise OperationError(
                f"a probe span {'did not arrive' if accepted else 'was not accepted'} within "
                f"{DEADLINE_SECONDS:.0f} s{why}",
                where=missing,
                fix=[
                    "the server works; its telemetry waits in the collector's queue",
                    f"`make doctor STACK={target.stack}` says what the collector cannot deliver",
                ],
            )
        if now - spoken >= HEARTBEAT_SECONDS:
            terminal.say(f"    … waiting for a probe span at {missing}, {now - started:.0f} s{why}")
            spoken = now
        clock.sleep(POLL_SECONDS)
