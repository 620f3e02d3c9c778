"""Telemetry with the names and attributes that Letta 0.16.8 sends, as OTLP in JSON.

    telemetry = Telemetry(device="here", environment="prod", start=start)
    telemetry.request("GET /v1/agents/", at=10, ms=25, status=200)
    telemetry.send(f"http://127.0.0.1:{port}")

Times are seconds after `start`, durations milliseconds. Resources are as our collector exports them:
its `resource` processor adds stack and environment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

Attributes = Mapping[str, str | int | float | bool]
OK, ERROR = 1, 2
SERVER, INTERNAL = 2, 1
DELTA = 1
SEVERITIES = {"DEBUG": 5, "INFO": 9, "WARNING": 13, "ERROR": 17, "CRITICAL": 21}


def trace_id(name: str) -> str:
    """Return the id of the trace that a test calls `name`."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


class Telemetry:
    """The telemetry of one server."""

    def __init__(self, *, device: str, environment: str, start: datetime) -> None:
        self._device, self._environment, self._start = device, environment, start
        self._spans: list[dict[str, Any]] = []
        self._points: list[dict[str, Any]] = []
        self._lines: list[dict[str, Any]] = []

    def request(
        self, route: str, *, at: float, ms: float, status: int | None, trace: str = "", error: str = ""
    ) -> str:
        """Add the root span of a request, and return its id; `status` is None when an exception ended it."""
        return self.span(
            route,
            trace=trace or f"{self._device} {route} {at} {ms}",
            at=at,
            ms=ms,
            kind=SERVER,
            status=OK if status is not None and status < 400 else ERROR,
            attributes={"entry.timestamp_ms": self._nanoseconds(at) // 1_000_000}
            | ({} if status is None else {"http.status_code": status}),
            events=[(at + ms / 1000, "exception", exception(error))] if error else (),
        )

    def span(
        self,
        name: str,
        *,
        trace: str,
        at: float,
        ms: float,
        parent: str = "",
        kind: int = INTERNAL,
        status: int = 0,
        message: str = "",
        attributes: Attributes | None = None,
        events: Sequence[tuple[float, str, Attributes]] = (),
    ) -> str:
        """Add a span, and return its id. An event is a time, a name and attributes."""
        own = hashlib.md5(f"{trace} {len(self._spans)}".encode(), usedforsecurity=False).hexdigest()[:16]
        self._spans.append({
            "traceId": trace_id(trace),
            "spanId": own,
            "parentSpanId": parent,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(self._nanoseconds(at)),
            "endTimeUnixNano": str(self._nanoseconds(at) + round(ms * 1e6)),
            "attributes": _listed(attributes or {}),
            "events": [
                {"timeUnixNano": str(self._nanoseconds(when)), "name": what, "attributes": _listed(more)}
                for when, what, more in events
            ],
            "status": {"code": status, "message": message},
        })  # fmt: skip
        return own

    def step(
        self,
        *,
        trace: str,
        parent: str,
        at: float,
        llm_ms: int,
        tokens: tuple[int, int],
        tools: Sequence[tuple[str, int, bool]] = (),
    ) -> None:
        """Add a step: a call to a model (tokens of prompt and completion), then tools (name, ms, success)."""
        name = f"step-{trace}-{at}"
        took = llm_ms + sum(ms for _, ms, _ in tools)
        events: list[tuple[float, str, Attributes]] = [
            (at + llm_ms / 1000, "llm_request_ms", {"duration_ms": llm_ms})
        ]
        for tool, ms, success in tools:
            done: Attributes = {"tool_name": tool, "duration_ms": ms, "success": success, "tool_type": "custom"}
            events += [(at, "tool_execution_started", {}), (at + ms / 1000, "tool_execution_completed", done)]
        self.span(
            "agent_step",
            trace=trace,
            parent=parent,
            at=at,
            ms=took,
            attributes={"step_id": name},
            events=[*events, (at + took / 1000, "step_ms", {"duration_ms": took})],
        )
        prompt, completion = tokens
        usage = (
            f"UsageStatistics(completion_tokens={completion}, prompt_tokens={prompt},"
            f" total_tokens={prompt + completion}, prompt_tokens_details=UsageStatisticsPromptTokenDetails("
            "cached_tokens=0, cache_read_tokens=0, cache_creation_tokens=0), completion_tokens_details="
            "UsageStatisticsCompletionTokenDetails(reasoning_tokens=0))"
        )
        self.span(
            "StepManager.update_step_success_async",
            trace=trace,
            parent=parent,
            at=at + took / 1000,
            ms=5,
            status=OK,
            attributes={"parameter.step_id": name, "parameter.usage": usage},
        )

    def count(self, metric: str, value: int, *, at: float, attributes: Attributes | None = None) -> None:
        """Add a point of a counter."""
        point = {
            "startTimeUnixNano": str(self._nanoseconds(at - 60)),
            "timeUnixNano": str(self._nanoseconds(at)),
            "asInt": str(value),
            "attributes": _listed(attributes or {}),
        }
        summed = {"dataPoints": [point], "aggregationTemporality": DELTA, "isMonotonic": True}
        self._points.append({"name": metric, "unit": "1", "sum": summed})

    def line(self, level: str, message: str, *, at: float, trace: str = "", **attributes: str) -> None:
        """Add a line of the server's log, as the collector reads it."""
        self._lines.append({
            "timeUnixNano": str(self._nanoseconds(at)),
            "severityText": level,
            "severityNumber": SEVERITIES[level],
            "body": {"stringValue": message},
            "attributes": _listed(attributes),
            **({"traceId": trace_id(trace), "spanId": "0123456789abcdef"} if trace else {}),
        })  # fmt: skip

    def send(self, address: str) -> None:
        """Send everything to a collector."""
        resource = {
            "attributes": _listed({
                "service.name": "letta-server",
                "letta.version": "0.16.8",
                "device.id": self._device,
                "deployment.environment": self._environment,
            })
        }  # fmt: skip
        for path, signal, kind, items in (
            ("traces", "Spans", "spans", self._spans),
            ("metrics", "Metrics", "metrics", self._points),
            ("logs", "Logs", "logRecords", self._lines),
        ):
            scope = {"scope": {"name": "letta.otel.tracing"}, kind: items}
            body = {f"resource{signal}": [{"resource": resource, f"scope{signal}": [scope]}]}
            httpx.post(f"{address}/v1/{path}", json=body, timeout=10.0).raise_for_status()

    def _nanoseconds(self, at: float) -> int:
        return int(self._start.timestamp()) * 1_000_000_000 + round(at * 1e9)


def exception(text: str) -> Attributes:
    """Return the attributes of an exception event; `text` is `type: message`."""
    kind, _, message = text.partition(": ")
    return {"exception.type": kind, "exception.message": message, "exception.stacktrace": f"Traceback: {text}"}


def _listed(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: str | float | bool) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": value}
