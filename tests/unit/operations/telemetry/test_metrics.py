"""A collector's own metrics, as it exports them for Prometheus."""

from __future__ import annotations

import pytest

from operations.telemetry.metrics import Exporter, parse

pytestmark = pytest.mark.unit

METRICS = """
# TYPE otelcol_exporter_sent_spans counter
otelcol_exporter_sent_spans{exporter="clickhouse/traces",service_name="otelcol"} 120
otelcol_exporter_sent_log_records{exporter="clickhouse/logs"} 7
otelcol_exporter_send_failed_spans{exporter="otlp/signoz-traces"} 3
otelcol_exporter_enqueue_failed_spans_total{exporter="clickhouse/traces"} 2
otelcol_exporter_queue_size{data_type="traces",exporter="clickhouse/traces"} 750
otelcol_exporter_queue_capacity{data_type="traces",exporter="clickhouse/traces"} 1000
otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"} 125
otelcol_process_memory_rss 1.2e+08
"""


def test_a_collectors_counters_are_read_by_exporter() -> None:
    assert parse(METRICS).exporters == (
        Exporter(name="clickhouse/logs", sent=7),
        Exporter(name="clickhouse/traces", sent=120, lost=2, waiting=0.75),
        Exporter(name="otlp/signoz-traces", refused=3),
    )
