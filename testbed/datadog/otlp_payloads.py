"""Reads OTLP payloads as the same records as the agent's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from testbed.datadog.records import Log, Point, Span


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
                    tags={**tags, **_attributes(span.attributes)},
                )


def otlp_metrics(body: bytes) -> Iterator[Point]:
    """Read /v1/metrics (OTLP). A histogram's value is its count; the kind of a sum is its temporality."""
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
                    trace_id=record.trace_id.hex()[16:],
                    otel_trace_id=record.trace_id.hex(),
                    span_id=record.span_id.hex(),
                    attributes={**tags, **_attributes(record.attributes)},
                )


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
