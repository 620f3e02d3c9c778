"""Reads the payloads of Datadog's agent and of the collector's `datadog` exporter.

The protobuf messages have only the fields that are read here; protobuf skips the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from testbed.datadog.records import Log, Point, Span, StatsGroup


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
                    tags={**meta, **_map(span.metrics)},
                )


def agent_stats(body: bytes) -> Iterator[StatsGroup]:
    """Read /api/v0.2/stats (StatsPayload in msgpack)."""
    payload = _expect(msgpack.unpackb(body, strict_map_key=False), dict)
    for client in payload["Stats"] or ():
        for bucket in client["Stats"] or ():
            for group in bucket["Stats"] or ():
                yield StatsGroup(service=group["Service"], name=group["Name"], hits=group["Hits"])


def series_v1(body: bytes) -> Iterator[Point]:
    """Read /api/v1/series (JSON)."""
    for series in _expect(json.loads(body), dict)["series"]:
        for _, value in series["points"]:
            yield Point(
                metric=series["metric"],
                kind=series.get("type", "gauge"),
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
                value=point.value,
                tags=tuple(series.tags),
            )


def sketches(body: bytes) -> Iterator[Point]:
    """Read /api/beta/sketches (SketchPayload): how many values each distribution has."""
    for sketch in _parse("SketchPayload", body).sketches:
        for one in sketch.dogsketches:
            yield Point(metric=sketch.metric, kind="distribution", value=one.cnt, tags=tuple(sketch.tags))


def logs_v2(body: bytes) -> Iterator[Log]:
    """Read /api/v2/logs (a list of records in JSON, or one)."""
    found = json.loads(body)
    for entry in found if isinstance(found, list) else [found]:
        message = entry["message"]
        # The agent's pipeline wraps the record a second time.
        inside = message if isinstance(message, dict) else _object(message)
        known = {**entry, **inside}
        yield Log(
            message=str(known["message"]),
            trace_id=_decimal(known.get("dd.trace_id")),
            otel_trace_id=known.get("otel.trace_id", ""),
            span_id=known.get("otel.span_id") or _decimal(known.get("dd.span_id")),
            attributes={key: value for key, value in known.items() if key not in {"message", "service"}},
        )


_KINDS = ("unspecified", "count", "rate", "gauge")

_TYPES = {
    "text": FieldDescriptorProto.TYPE_STRING,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "int32": FieldDescriptorProto.TYPE_INT32,
}

# Field numbers of the agent's messages. A map is a list of entries on the wire.
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "AgentPayload": {"tracerPayloads": (5, "TracerPayload*")},
    "TracerPayload": {"chunks": (6, "TraceChunk*")},
    "TraceChunk": {"spans": (3, "Span*")},
    "Span": {
        "traceID": (4, "uint64"), "spanID": (5, "uint64"), "parentID": (6, "uint64"),
        "meta": (10, "TextEntry*"), "metrics": (11, "NumberEntry*"),
    },
    "TextEntry": {"key": (1, "text"), "value": (2, "text")},
    "NumberEntry": {"key": (1, "text"), "value": (2, "double")},
    "MetricPayload": {"series": (1, "MetricSeries*")},
    "MetricSeries": {
        "metric": (2, "text"), "tags": (3, "text*"), "points": (4, "MetricPoint*"), "type": (5, "int32"),
    },
    "MetricPoint": {"value": (1, "double")},
    "SketchPayload": {"sketches": (1, "Sketch*")},
    "Sketch": {"metric": (1, "text"), "tags": (4, "text*"), "dogsketches": (7, "Dogsketch*")},
    "Dogsketch": {"cnt": (2, "int64")},
}  # fmt: skip

_PACKAGE = "letta_platform.testbed.datadog"


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
    """Return the class of one of the agent's protobuf messages."""
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
