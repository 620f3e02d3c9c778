"""Whether telemetry arrives: the marked span of `make up`, and what `make doctor` says of collectors."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

import otel
from operations.checks import telemetry
from operations.checks.result import Check, CheckState
from operations.console.errors import OperationError
from operations.deploy import telemetry_probe
from operations.telemetry.metrics import Exporter, Metrics, MetricsUnreadableError, parse
from otel.clickhouse import statements
from testbed.certificates import Authority
from testbed.clickhouse.server import ClickHouse
from tests.unit.operations.engine.test_engine import FakeEngine, container

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
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OUTPUTS = {"collectorMetricsUrl": "http://localhost:8888/metrics", "telemetryProfile": "clickhouse"}


def test_a_collectors_counters_are_read_by_exporter() -> None:
    assert parse(METRICS).exporters == (
        Exporter(name="clickhouse/logs", sent=7),
        Exporter(name="clickhouse/traces", sent=120, lost=2, waiting=0.75),
        Exporter(name="otlp/signoz-traces", refused=3),
    )


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
        clean=lambda text: text.replace("hidden", "***"),
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
        ("clickhouse/logs", "something new", "takes nothing: something new", "make up STACK=dev"),
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


def test_a_failure_that_is_over_is_not_told() -> None:
    assert checked(log_line("clickhouse/traces", "code: 516", old=True)).state is CheckState.OK


def test_a_secret_in_a_message_is_not_shown() -> None:
    assert "hidden" not in checked(log_line("clickhouse/traces", "unknown hidden thing")).detail


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
        OUTPUTS, FakeEngine(), [container("c", service="collector")], stack="dev", clean=str, read=read, now=NOW
    )

    assert found.state is CheckState.BROKEN
    assert "connection refused" in found.detail


def test_a_stack_that_is_not_up_has_no_telemetry_to_look_at() -> None:
    found = telemetry.check({}, FakeEngine(), [], stack="dev", clean=str, now=NOW)

    assert (found.state, found.detail) == (CheckState.OK, "not up")


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class _Target:
    stack = "dev"


def proved(
    monkeypatch: pytest.MonkeyPatch, *, takes: Any = lambda: None, finds: Any = lambda: True
) -> tuple[list[str], Clock]:
    said: list[str] = []
    clock = Clock()
    monkeypatch.setattr(telemetry_probe, "send", lambda *_: takes())
    monkeypatch.setattr(
        telemetry_probe, "front_door", lambda *_: telemetry_probe.FrontDoor(endpoint="http://localhost:4318")
    )
    monkeypatch.setattr(
        telemetry_probe, "looks", lambda *_: [telemetry_probe.ProbeTarget(where="table otel_traces", found=finds)]
    )
    telemetry_probe.prove(
        _Target(),  # type: ignore[arg-type]
        FakeEngine(),
        {"otlpHttpEndpoint": "http://localhost:4318"},
        said.append,
        clock=clock,
    )
    return said, clock


def test_the_marked_span_is_waited_for_with_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = iter(range(100))

    said, _ = proved(monkeypatch, finds=lambda: next(waits) > 30)

    assert any("waiting for a marked span at table otel_traces" in line for line in said)
    assert "sent and found" in said[-1]


def test_a_marked_span_that_never_arrives_fails_and_names_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperationError) as raised:
        proved(monkeypatch, finds=lambda: False)

    assert "did not arrive" in str(raised.value)
    assert "table otel_traces" in str(raised.value)
    assert "make doctor STACK=dev" in str(raised.value)


def test_a_front_door_that_takes_nothing_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise telemetry_probe.NotYetError("status 503")

    with pytest.raises(OperationError) as raised:
        proved(monkeypatch, takes=refuse)

    assert "was not taken" in str(raised.value)
    assert "status 503" in str(raised.value)


def test_the_marked_span_is_sent_with_the_token_and_never_redirected(httpserver: HTTPServer) -> None:
    door = telemetry_probe.FrontDoor(endpoint=httpserver.url_for("").rstrip("/"), token="the-token")
    httpserver.expect_ordered_request(
        "/v1/traces", method="POST", headers={"Authorization": "Bearer the-token"}
    ).respond_with_json({})
    httpserver.expect_ordered_request("/v1/traces").respond_with_data(
        status=307, headers={"Location": httpserver.url_for("/taken")}
    )

    telemetry_probe.send(door, "0" * 32)
    with pytest.raises(telemetry_probe.NotYetError, match="HTTP 307"):
        telemetry_probe.send(door, "0" * 32)

    assert [request.path for request, _ in httpserver.log] == ["/v1/traces", "/v1/traces"]


def test_a_span_is_found_in_clickhouse_with_any_password(tmp_path: Path) -> None:
    password = "pä$$ 'word' \\"
    with ClickHouse(tmp_path, password=password) as server:
        target = otel.ClickHouse(endpoint=server.url())
        with pytest.raises(telemetry_probe.NotYetError, match="UNKNOWN_DATABASE"):
            telemetry_probe.in_clickhouse(target, password, "1" * 32)
        for statement in statements(target, retention_days=30):
            server.ask(statement)
        assert not telemetry_probe.in_clickhouse(target, password, "1" * 32)
        server.ask(
            "INSERT INTO otel.otel_traces (Timestamp, TraceId) SELECT now(), {id:String}",
            parameters={"id": "1" * 32},
        )

        assert telemetry_probe.in_clickhouse(target, password, "1" * 32)
        with pytest.raises(telemetry_probe.NotYetError, match="refuses the user or the password"):
            telemetry_probe.in_clickhouse(target, "wrong", "1" * 32)


def test_clickhouse_is_trusted_by_an_authority_that_is_given(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with ClickHouse(tmp_path, password="secret", certificate=authority.issue("127.0.0.1")) as server:
        target = otel.ClickHouse(endpoint=server.url())
        for statement in statements(target, retention_days=30):
            server.ask(statement)

        with pytest.raises(telemetry_probe.NotYetError, match="CERTIFICATE_VERIFY_FAILED"):
            telemetry_probe.in_clickhouse(target, "secret", "1" * 32)
        assert not telemetry_probe.in_clickhouse(
            target, "secret", "1" * 32, authority=authority.certificate.read_text()
        )


def test_clickhouses_password_is_not_redirected(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data(
        status=307, headers={"Location": httpserver.url_for("/taken")}
    )
    target = otel.ClickHouse(endpoint=httpserver.url_for("").rstrip("/"))

    with pytest.raises(telemetry_probe.NotYetError, match="not ClickHouse's HTTP interface"):
        telemetry_probe.in_clickhouse(target, "secret", "1" * 32)

    assert [request.path for request, _ in httpserver.log] == ["/"]
