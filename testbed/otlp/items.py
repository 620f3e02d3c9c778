"""The spans, log records and metric points that `testbed.otlp.generator` sends, each derived from its number."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

RUN, SEQUENCE = "letta_platform.test.run", "letta_platform.test.sequence"
"""Attributes of each item: its run, and its number (from 0) among the run's items of a signal."""

METRIC = "letta_platform.test.points"
SERVICE = "letta-platform-tests"
SPANS_PER_TRACE = 8


class Signal(StrEnum):
    """A kind of telemetry."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ids:
    """A span's ids in lower-case hex; `parent_id` is empty for the first span of a trace."""

    trace_id: str
    span_id: str
    parent_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One of OTLP's gRPC services: its method, how to create a request, and how to read the response."""

    method: str
    request: Callable[[str, range, str], Any]
    response: Any
    rejected: str


def ids(run: str, sequence: int) -> Ids:
    """Return the ids of a span, and of the log record with the same number; equal for equal arguments."""
    trace, place = divmod(sequence, SPANS_PER_TRACE)
    mark = hashlib.sha256(run.encode()).digest()
    # The lower half differs between traces too: Datadog knows a trace by that half.
    trace_id = mark[:8] + mark[8:12] + (trace + 1).to_bytes(4, "big")
    first = trace * SPANS_PER_TRACE
    return Ids(
        trace_id=trace_id.hex(),
        span_id=_span_id(mark, sequence).hex(),
        parent_id=_span_id(mark, first).hex() if place else "",
    )


def _span_id(mark: bytes, sequence: int) -> bytes:
    return mark[12:16] + (sequence + 1).to_bytes(4, "big")


def _attributes(run: str, sequence: int) -> list[KeyValue]:
    return [
        KeyValue(key=RUN, value=AnyValue(string_value=run)),
        KeyValue(key=SEQUENCE, value=AnyValue(int_value=sequence)),
    ]


def _resource() -> Resource:
    return Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value=SERVICE))])


def _scope() -> InstrumentationScope:
    return InstrumentationScope(name="testbed.otlp")


def _spans(run: str, numbers: range, padding: str) -> Any:
    now = time.time_ns()
    spans = []
    for number in numbers:
        own = ids(run, number)
        spans.append(
            Span(
                trace_id=bytes.fromhex(own.trace_id),
                span_id=bytes.fromhex(own.span_id),
                parent_span_id=bytes.fromhex(own.parent_id),
                name=f"step {number % SPANS_PER_TRACE}",
                kind=Span.SPAN_KIND_INTERNAL,
                start_time_unix_nano=now + number,
                end_time_unix_nano=now + number + 1_000_000,
                attributes=[
                    *_attributes(run, number),
                    *([KeyValue(key="padding", value=AnyValue(string_value=padding))] if padding else []),
                ],
                status=Status(code=Status.STATUS_CODE_OK),
            )
        )
    scope = ScopeSpans(scope=_scope(), spans=spans)
    return trace_service.ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=_resource(), scope_spans=[scope])]
    )


def _records(run: str, numbers: range, padding: str) -> Any:
    now = time.time_ns()
    records = []
    for number in numbers:
        own = ids(run, number)
        records.append(
            LogRecord(
                time_unix_nano=now + number,
                observed_time_unix_nano=now,
                severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
                severity_text="INFO",
                body=AnyValue(string_value=f"record {number} {padding}"),
                attributes=_attributes(run, number),
                trace_id=bytes.fromhex(own.trace_id),
                span_id=bytes.fromhex(own.span_id),
            )
        )
    scope = ScopeLogs(scope=_scope(), log_records=records)
    return logs_service.ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=_resource(), scope_logs=[scope])]
    )


def _points(run: str, numbers: range, padding: str) -> Any:
    now = time.time_ns()
    points = [
        NumberDataPoint(
            start_time_unix_nano=now,
            time_unix_nano=now + number,
            as_int=number,
            attributes=_attributes(run, number),
        )
        for number in numbers
    ]
    metric = Metric(name=METRIC, description=padding, unit="1", gauge=Gauge(data_points=points))
    scope = ScopeMetrics(scope=_scope(), metrics=[metric])
    return metrics_service.ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(resource=_resource(), scope_metrics=[scope])]
    )


_PREFIX = "/opentelemetry.proto.collector"
SERVICES = {
    Signal.TRACES: Service(
        method=f"{_PREFIX}.trace.v1.TraceService/Export",
        request=_spans,
        response=trace_service.ExportTraceServiceResponse,
        rejected="rejected_spans",
    ),
    Signal.METRICS: Service(
        method=f"{_PREFIX}.metrics.v1.MetricsService/Export",
        request=_points,
        response=metrics_service.ExportMetricsServiceResponse,
        rejected="rejected_data_points",
    ),
    Signal.LOGS: Service(
        method=f"{_PREFIX}.logs.v1.LogsService/Export",
        request=_records,
        response=logs_service.ExportLogsServiceResponse,
        rejected="rejected_log_records",
    ),
}
