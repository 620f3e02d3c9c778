"""What the doctor finds about the delivery of telemetry."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from operations.checks import telemetry
from operations.checks.result import Check, CheckState
from operations.console.redaction import hide
from operations.telemetry.metrics import Exporter, Metrics, MetricsUnreadableError, parse
from testbed.fake_engine import FakeEngine, container

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OUTPUTS = {"collectorMetricsUrl": "http://localhost:8888/metrics", "telemetryProfile": "clickhouse"}


def log_line(exporter: str, error: str, *, old: bool = False, key: str = "otelcol.component.id") -> str:
    when = NOW - (timedelta(minutes=10) if old else timedelta(seconds=20))
    entry = {
        "level": "info",
        "ts": when.isoformat().replace("+00:00", "Z"),
        "msg": "Exporting failed. Will retry the request after interval.",
        key: exporter,
        "error": error,
    }
    return json.dumps(entry)


def checked(*log: str, found: tuple[Exporter, ...] = (), disk_full: bool = False) -> Check:
    return telemetry.check(
        OUTPUTS,
        FakeEngine(logs={"c": "\n".join(log)}),
        [container("letta-dev-collector", id="c", service="collector")],
        stack="dev",
        read=lambda _: Metrics(exporters=found, disk_full=disk_full),
        now=NOW,
    )


@pytest.mark.parametrize(
    ("exporter", "error", "words", "key"),
    [
        ("clickhouse/traces", "code: 516, message: default: Authentication failed", "ClickHouse refuses user,",
         "--secret letta:clickhousePassword"),
        ("otlp/signoz-logs", "rpc error: code = Unauthenticated desc = no key", "SigNoz refuses user,",
         "--secret letta:signozIngestionKey"),
        ("otlp_http/datadog-traces", "responded with HTTP Status Code 403", "Datadog refuses user,",
         "--secret letta:datadogApiKey"),
        ("clickhouse/logs", "tls: failed to verify certificate: x509: unknown authority",
         "ClickHouse has a certificate that is not trusted", "letta:clickhouseEndpoint"),
        ("otlp/signoz-traces", "tls: failed to verify certificate: x509: certificate signed by unknown authority",
         "SigNoz has a certificate that is not trusted", "letta:telemetryCaBundle"),
        ("clickhouse/logs", "dial tcp: lookup clickhouse.example: no such host", "cannot be resolved",
         "letta:clickhouseEndpoint"),
        ("clickhouse/logs", "dial tcp 10.0.0.1:8123: connect: connection refused", "does not accept connections",
         "letta:clickhouseEndpoint"),
        ("clickhouse/logs", "code: 60, message: Table otel.otel_logs does not exist", "has no tables yet",
         "make up STACK=dev"),
        ("clickhouse/logs", "context deadline exceeded", "does not answer in time", "make up STACK=dev"),
        ("clickhouse/logs", "something new", "accepts nothing: something new", "make up STACK=dev"),
    ],
)  # fmt: skip
def test_the_doctor_says_in_plain_words_why_nothing_is_delivered(
    exporter: str, error: str, words: str, key: str
) -> None:
    found = checked(log_line(exporter, error))

    assert found.state is CheckState.BROKEN
    assert words in found.detail
    assert key in " ".join(found.fix)


def test_the_logs_of_old_collectors_are_understood_too() -> None:
    entry = json.loads(log_line("clickhouse/traces", "code: 516", key="name"))
    entry["ts"] = NOW.timestamp() - 20

    assert "ClickHouse" in checked(json.dumps(entry)).detail


def test_a_failure_that_is_over_is_not_reported() -> None:
    assert checked(log_line("clickhouse/traces", "code: 516", old=True)).state is CheckState.OK


def test_a_secret_in_a_message_is_not_shown() -> None:
    hide(["hunter22"])
    assert "hunter22" not in checked(log_line("clickhouse/traces", "unknown hunter22 thing")).detail


def test_what_was_lost_or_refused_for_good_is_broken() -> None:
    found = checked(
        found=(Exporter(name="clickhouse/traces", lost=5), Exporter(name="otlp/signoz-traces", refused=7))
    )

    assert found.state is CheckState.BROKEN
    assert "clickhouse/traces lost 5 signals" in found.detail
    assert "SigNoz refused 7 signals for good" in found.detail


def test_a_full_disk_is_broken() -> None:
    found = checked(disk_full=parse('otelcol_queue_disk_full{otel_scope_name="collector"} 1').disk_full)

    assert found.state is CheckState.BROKEN
    assert "disk of the collector's queues is full" in found.detail
    assert "docker system df" in " ".join(found.fix)


def test_a_queue_that_fills_is_noted_before_anything_is_lost() -> None:
    found = checked(found=(Exporter(name="clickhouse/traces", waiting=0.75),))

    assert found.state is CheckState.NOTE
    assert "75%" in found.detail


def test_a_collector_that_delivers_is_well() -> None:
    found = checked(found=(Exporter(name="clickhouse/traces", sent=10),))

    assert (found.state, found.detail) == (CheckState.OK, "clickhouse: 10 signals delivered")


def test_a_collector_whose_metrics_cannot_be_read_is_broken() -> None:
    def read(_: str) -> Metrics:
        raise MetricsUnreadableError("connection refused")

    found = telemetry.check(
        OUTPUTS, FakeEngine(), [container("c", service="collector")], stack="dev", read=read, now=NOW
    )

    assert found.state is CheckState.BROKEN
    assert "connection refused" in found.detail


def test_a_stack_that_is_not_up_has_no_telemetry_to_check() -> None:
    found = telemetry.check({}, FakeEngine(), [], stack="dev", now=NOW)

    assert (found.state, found.detail) == (CheckState.OK, "not up")
