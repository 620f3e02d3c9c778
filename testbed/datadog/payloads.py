"""Reads what is sent to Datadog: the agent's own payloads, and OTLP, both as the same flat records.

The protobuf messages hold only the fields that tests ask for; others are passed over. Ids are lower-case hex.
Datadog knows a trace by the lower 64 bits of its id; the whole one is `otel_trace_id`, where the payload has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgpack  # type: ignore[import-untyped]
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One span; `parent_id` is empty for a root, times are nanoseconds."""

    trace_id: str
    otel_trace_id: str
    span_id: str
    parent_id: str
    name: str
    resource: str
    service: str
    start: int
    duration: int
    error: bool
    tags: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class StatsGroup:
    """APM statistics: how often something was done within a time (`start`, nanoseconds)."""

    start: int
    service: str
    name: str
    resource: str
    hits: int
    top_level_hits: int
    errors: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A metric's value at a time (seconds). `kind` says what it is: gauge, count, rate, distribution, delta, …."""

    metric: str
    kind: str
    time: float
    value: float
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """One log record; the ids are empty for one that belongs to no trace."""

    message: str
    service: str
    trace_id: str
    otel_trace_id: str
    span_id: str
    attributes: Mapping[str, Any]


Record = Span | StatsGroup | Point | Log


def agent_traces(body: bytes) -> Iterator[Span]:
    """Read /api/v0.2/traces (AgentPayload)."""
    payload = _parse("AgentPayload", body)
    for tracer in payload.tracerPayloads:
        for chunk in tracer.chunks:
            upper = next(
                (tags["_dd.p.tid"] for span in chunk.spans if "_dd.p.tid" in (tags := _map(span.meta))), ""
            )
            for span in chunk.spans:
                meta = _map(span.meta)
                trace_id = f"{span.traceID:016x}"
                yield Span(
                    trace_id=trace_id,
                    otel_trace_id=meta.get("otel.trace_id") or (upper and upper + trace_id),
                    span_id=f"{span.spanID:016x}",
                    parent_id=f"{span.parentID:016x}" if span.parentID else "",
                    name=span.name,
                    resource=span.resource,
                    service=span.service,
                    start=span.start,
                    duration=span.duration,
                    error=bool(span.error),
                    tags={**meta, **_map(span.metrics)},
                )


def agent_stats(body: bytes) -> Iterator[StatsGroup]:
    """Read /api/v0.2/stats (StatsPayload in msgpack)."""
    payload = _expect(msgpack.unpackb(body, strict_map_key=False), dict)
    for client in payload["Stats"] or ():
        for bucket in client["Stats"] or ():
            for group in bucket["Stats"] or ():
                yield StatsGroup(
                    start=bucket["Start"],
                    service=group["Service"],
                    name=group["Name"],
                    resource=group["Resource"],
                    hits=group["Hits"],
                    top_level_hits=group["TopLevelHits"],
                    errors=group["Errors"],
                )


def series_v1(body: bytes) -> Iterator[Point]:
    """Read /api/v1/series (JSON)."""
    for series in _expect(json.loads(body), dict)["series"]:
        for time, value in series["points"]:
            yield Point(
                metric=series["metric"],
                kind=series.get("type", "gauge"),
                time=time,
                value=value,
                tags=tuple(series.get("tags") or ()),
            )


def series_v2_json(body: bytes) -> Iterator[Point]:
    """Read /api/v2/series as the API's clients send it."""
    for series in _expect(json.loads(body), dict)["series"]:
        for point in series["points"]:
            yield Point(
                metric=series["metric"],
                kind=_KINDS[series.get("type", 0)],
                time=point["timestamp"],
                value=point["value"],
                tags=tuple(series.get("tags") or ()),
            )


def series_v2(body: bytes) -> Iterator[Point]:
    """Read /api/v2/series as the agent sends it (MetricPayload)."""
    for series in _parse("MetricPayload", body).series:
        for point in series.points:
            yield Point(
                metric=series.metric,
                kind=_KINDS[series.type],
                time=point.timestamp,
                value=point.value,
                tags=tuple(series.tags),
            )


def sketches(body: bytes) -> Iterator[Point]:
    """Read /api/beta/sketches (SketchPayload): how many values each distribution has."""
    for sketch in _parse("SketchPayload", body).sketches:
        for one in sketch.dogsketches:
            yield Point(
                metric=sketch.metric, kind="distribution", time=one.ts, value=one.cnt, tags=tuple(sketch.tags)
            )


def logs_v2(body: bytes) -> Iterator[Log]:
    """Read /api/v2/logs (a list of records in JSON, or one)."""
    found = json.loads(body)
    for entry in found if isinstance(found, list) else [found]:
        message = entry["message"]
        # The agent's own pipeline wraps the record once more.
        inside = message if isinstance(message, dict) else _object(message)
        known = {**entry, **inside}
        yield Log(
            message=str(known["message"]),
            service=known.get("service", ""),
            trace_id=_decimal(known.get("dd.trace_id")),
            otel_trace_id=known.get("otel.trace_id", ""),
            span_id=known.get("otel.span_id") or _decimal(known.get("dd.span_id")),
            attributes={key: value for key, value in known.items() if key not in {"message", "service"}},
        )


def otlp_traces(body: bytes) -> Iterator[Span]:
    """Read /v1/traces (OTLP)."""
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        tags = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    trace_id=span.trace_id.hex()[16:],
                    otel_trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    resource=span.name,
                    service=tags.get("service.name", ""),
                    start=span.start_time_unix_nano,
                    duration=span.end_time_unix_nano - span.start_time_unix_nano,
                    error=span.status.code == 2,
                    tags={**tags, **_attributes(span.attributes)},
                )


def otlp_metrics(body: bytes) -> Iterator[Point]:
    """Read /v1/metrics (OTLP); of histograms the count. `kind` names sums by their temporality."""
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        shared = _attributes(resource.resource.attributes)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                shape = metric.WhichOneof("data") or "gauge"
                data = getattr(metric, shape)
                temporality = {1: "delta", 2: "cumulative"}.get(getattr(data, "aggregation_temporality", 0), "")
                for point in data.data_points:
                    value = point.WhichOneof("value") if shape in {"gauge", "sum"} else "count"
                    tags = {**shared, **_attributes(point.attributes)}
                    yield Point(
                        metric=metric.name,
                        kind=temporality or shape,
                        time=point.time_unix_nano / 1e9,
                        value=getattr(point, value) if value else 0,
                        tags=tuple(f"{key}:{one}" for key, one in tags.items()),
                    )


def otlp_logs(body: bytes) -> Iterator[Log]:
    """Read /v1/logs (OTLP)."""
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        tags = _attributes(resource.resource.attributes)
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield Log(
                    message=str(_value(record.body)),
                    service=tags.get("service.name", ""),
                    trace_id=record.trace_id.hex()[16:],
                    otel_trace_id=record.trace_id.hex(),
                    span_id=record.span_id.hex(),
                    attributes={**tags, **_attributes(record.attributes)},
                )


_KINDS = ("unspecified", "count", "rate", "gauge")

_TYPES = {
    "text": FieldDescriptorProto.TYPE_STRING,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "int32": FieldDescriptorProto.TYPE_INT32,
}

# Names and numbers of the agent's messages. A map is a list of entries on the wire.
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "AgentPayload": {"tracerPayloads": (5, "TracerPayload*")},
    "TracerPayload": {"chunks": (6, "TraceChunk*"), "env": (8, "text")},
    "TraceChunk": {"spans": (3, "Span*")},
    "Span": {
        "service": (1, "text"), "name": (2, "text"), "resource": (3, "text"), "traceID": (4, "uint64"),
        "spanID": (5, "uint64"), "parentID": (6, "uint64"), "start": (7, "int64"), "duration": (8, "int64"),
        "error": (9, "int32"), "meta": (10, "TextEntry*"), "metrics": (11, "NumberEntry*"), "type": (12, "text"),
    },
    "TextEntry": {"key": (1, "text"), "value": (2, "text")},
    "NumberEntry": {"key": (1, "text"), "value": (2, "double")},
    "MetricPayload": {"series": (1, "MetricSeries*")},
    "MetricSeries": {
        "metric": (2, "text"), "tags": (3, "text*"), "points": (4, "MetricPoint*"), "type": (5, "int32"),
    },
    "MetricPoint": {"value": (1, "double"), "timestamp": (2, "int64")},
    "SketchPayload": {"sketches": (1, "Sketch*")},
    "Sketch": {"metric": (1, "text"), "tags": (4, "text*"), "dogsketches": (7, "Dogsketch*")},
    "Dogsketch": {"ts": (1, "int64"), "cnt": (2, "int64")},
}  # fmt: skip

_PACKAGE = "letta_platform.tests.datadog"


def _pool() -> DescriptorPool:
    file = FileDescriptorProto(name="datadog.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            single = kind.removesuffix("*")
            added = message.field.add(name=field, number=number)
            added.label = (
                FieldDescriptorProto.LABEL_OPTIONAL if kind == single else FieldDescriptorProto.LABEL_REPEATED
            )
            added.type = _TYPES.get(single, FieldDescriptorProto.TYPE_MESSAGE)
            if single not in _TYPES:
                added.type_name = f".{_PACKAGE}.{single}"
    pool = DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _pool()


def message(name: str) -> Any:
    """Give the class of one of the agent's protobuf messages."""
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


def _parse(name: str, body: bytes) -> Any:
    return message(name).FromString(body)


def _map(entries: Iterable[Any]) -> dict[str, Any]:
    return {entry.key: entry.value for entry in entries}


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"a {kind.__name__} was expected")
    return value


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "message" in found else {}


def _decimal(value: Any) -> str:
    return f"{int(value):016x}" if value else ""


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case kind:
            return getattr(value, kind)
