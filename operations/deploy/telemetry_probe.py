"""The last step of `make up`: a marked span goes in by the front door, and must come out where it is to be kept.

A collector that is healthy may still deliver nothing: its own health says that it runs.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

import otel
from operations.console import terminal
from operations.console.errors import OperationError
from operations.console.redaction import hide
from operations.engine.protocol import Engine
from operations.stack.target import Target
from operations.telemetry import clickhouse as clickhouse_http
from operations.telemetry import metrics
from operations.telemetry.trace_files import lines, traces_file, volume_file
from settings import NAMESPACE, load, telemetry
from toolchain import network

SPAN_NAME = "letta-platform deployed"
SERVICE_NAME = "letta-platform"
# A batch waits up to 10 s, a delivery that fails is tried again after 5 to 30 s.
DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.5
REQUEST_SECONDS = 10.0
HEARTBEAT_SECONDS = 10.0

Found = Callable[[], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeTarget:
    """One place where the span must appear."""

    where: str
    """In words, for people."""
    found: Found
    """Whether it is there; raises `NotYetError` with a reason when the place cannot be looked at."""


class NotYetError(Exception):
    """A place could not be looked at this time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontDoor:
    """The published OTLP port, and what it asks for."""

    endpoint: str
    token: str | None = None
    authority: str | None = None
    """Certificates in PEM form that it is trusted by, beside this machine's."""


def send(door: FrontDoor, trace_id: str) -> None:
    """Send the marked span over OTLP/HTTP.

    Raises:
        NotYetError: when it is not taken.
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
    headers = {"Authorization": f"Bearer {door.token}"} if door.token else {}
    try:
        with network.client(REQUEST_SECONDS, direct=True, authority=door.authority) as client:
            # A redirection leads to something else, which is not to get the token.
            answer = client.post(f"{door.endpoint}/v1/traces", json=body, headers=headers, follow_redirects=False)
    except httpx.HTTPError as error:
        raise NotYetError(str(error) or type(error).__name__) from None
    if not answer.is_success:
        raise NotYetError(f"HTTP {answer.status_code} {answer.text[:300].strip()}")


def in_clickhouse(target: otel.ClickHouse, password: str, trace_id: str, *, authority: str | None = None) -> bool:
    """Ask ClickHouse for the span, from this machine; `authority` is a certificate that it is trusted by, too.

    Raises:
        NotYetError: when it does not answer, or has no such table yet.
    """
    # The database's name is checked by `otel.ClickHouse`, the id is ours.
    query = f'SELECT count() FROM "{target.database}".otel_traces WHERE TraceId = {{id:String}}'  # noqa: S608
    try:
        with network.client(REQUEST_SECONDS, direct=True, authority=authority) as client:
            answer = clickhouse_http.ask(client, target, password, query, {"id": trace_id})
    except clickhouse_http.ClickHouseError as error:
        raise NotYetError(str(error)) from None
    return answer.strip() not in {"", "0"}


def _clickhouse(target: Target) -> tuple[otel.ClickHouse, str, str | None]:
    """Give where ClickHouse is, its password, whatever keeps the stack's secrets, and who it is trusted by."""
    shown: dict[str, Any] = json.loads(target.pulumi().answer("config", "--show-secrets", "--json"))
    prefix = f"{NAMESPACE}:clickhouse"
    wanted = (prefix, f"{NAMESPACE}:telemetryCaBundle")
    raw = {key: entry["value"] for key, entry in shown.items() if key.startswith(wanted)}
    loaded = load(raw, [key for key in raw if shown[key].get("secret")], stack=target.stack)
    clickhouse = telemetry.destinations(loaded).clickhouse
    if clickhouse is None or loaded.clickhouse_password is None:
        raise OperationError("ClickHouse is not set although the stack runs with it", where=f"{prefix}Endpoint")
    password = loaded.clickhouse_password.get_secret_value()
    hide([password])
    return clickhouse, password, telemetry.ca_bundle(loaded)


def _sent(metrics_url: str, exporter: str, before: int) -> Found:
    """Believe the collector's own count, where a destination cannot be asked."""

    def found() -> bool:
        try:
            now = {one.name: one.sent for one in metrics.read(metrics_url).exporters}
        except metrics.MetricsUnreadableError as error:
            raise NotYetError(str(error)) from None
        return now.get(exporter, 0) > before

    return found


def front_door(target: Target, engine: Engine, outputs: Mapping[str, Any]) -> FrontDoor:
    """Give where a deployed stack takes signals."""
    token = authority = None
    if "otlpToken" in outputs:
        token = target.pulumi().answer("stack", "output", "otlpToken", "--show-secrets").strip()
        hide([token])
    if volume := outputs.get("otlpCertificatesVolume"):
        authority = "\n".join(lines(volume_file(target, engine, str(volume), "ca.pem").tail(200)))
    return FrontDoor(endpoint=str(outputs["otlpHttpEndpoint"]).rstrip("/"), token=token, authority=authority)


def looks(target: Target, engine: Engine, outputs: Mapping[str, Any], trace_id: str) -> list[ProbeTarget]:
    """Give the places where a span of this stack's profile must appear."""
    profile = otel.PROFILES[str(outputs["telemetryProfile"])]
    made: list[ProbeTarget] = []
    if profile.uses("file/traces"):
        file = traces_file(target, engine)

        def in_file() -> bool:
            return any(trace_id in line for line in lines(file.tail(200)))

        made.append(
            ProbeTarget(where=f"{outputs['tracesFile']} in volume {outputs['tracesVolume']}", found=in_file)
        )
    if profile.uses("clickhouse"):
        clickhouse, password, authority = _clickhouse(target)
        made.append(
            ProbeTarget(
                where=f"table otel_traces at {clickhouse.address}",
                found=lambda: in_clickhouse(clickhouse, password, trace_id, authority=authority),
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
        made.append(ProbeTarget(where=f"{words} (by the collector's count)", found=_sent(url, exporter, before)))
    return made


def prove(target: Target, engine: Engine, outputs: Mapping[str, Any], *, clock: Any = time) -> None:
    """Send a marked span and wait until it is wherever the profile puts it.

    Raises:
        OperationError: when it is not taken, or does not appear.
    """
    trace_id = secrets.token_hex(16)
    places = looks(target, engine, outputs, trace_id)
    door = front_door(target, engine, outputs)
    started = spoken = clock.monotonic()
    taken, why = False, ""
    while True:
        try:
            if not taken:
                send(door, trace_id)
                taken = True
            places = [place for place in places if not place.found()]
            why = ""
        except NotYetError as error:
            why = f": {error}"
        if taken and not places:
            terminal.say(f"telemetry: a marked span was sent and found (trace {trace_id})")
            return
        now = clock.monotonic()
        missing = " and ".join(place.where for place in places) if taken else door.endpoint
        if now - started > DEADLINE_SECONDS:
            raise OperationError(
                f"a marked span {'did not arrive' if taken else 'was not taken'} within "
                f"{DEADLINE_SECONDS:.0f} s{why}",
                where=missing,
                fix=[
                    "the stack serves; what it is to record waits in the collector's queue",
                    f"`make doctor STACK={target.stack}` says what the collector cannot do",
                ],
            )
        if now - spoken >= HEARTBEAT_SECONDS:
            terminal.say(f"    … waiting for a marked span at {missing}, {now - started:.0f} s{why}")
            spoken = now
        clock.sleep(POLL_SECONDS)
