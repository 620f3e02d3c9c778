"""The collector delivers counted signals to the stand-ins; this needs no Docker, only a Go compiler once.

The configurations here are the smallest that exercise an exporter, not the profiles of `otel/`. The stand-in works
with the exporter's default settings (lz4, `async_insert`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from testbed.certificates import Authority
from testbed.clickhouse.rows import stored
from testbed.clickhouse.server import ClickHouse, Fault
from testbed.collector import Collector, program
from testbed.datadog.server import Datadog
from testbed.otlp.generator import Generator, Report
from testbed.otlp.items import RUN, SEQUENCE, SERVICE, Signal, ids
from testbed.ports import reserved

pytestmark = pytest.mark.engine

PASSWORD = "p$w${x} 'odd'"
COUNT = 5000
FAST = 1e9
Run = Callable[..., Generator]


@pytest.fixture(scope="module")
def collector_program() -> Path:
    return program()


@pytest.fixture
def run_collector(collector_program: Path, tmp_path: Path) -> Iterator[Run]:
    """A function that starts a collector with one exporter, and returns a generator that sends to it."""
    with ExitStack() as held:

        def run(exporter: Mapping[str, Any], **environment: str) -> Generator:
            otlp, health = held.enter_context(reserved(2))
            pipeline = {"receivers": ["otlp"], "exporters": list(exporter)}
            configuration = {
                "extensions": {"health_check": {"endpoint": f"127.0.0.1:{health}"}},
                "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{otlp}"}}}},
                "exporters": exporter,
                "service": {
                    "extensions": ["health_check"],
                    "telemetry": {"metrics": {"level": "none"}},
                    "pipelines": {str(signal): pipeline for signal in Signal},
                },
            }
            held.enter_context(
                Collector(
                    collector_program,
                    configuration,
                    folder=tmp_path,
                    health=f"http://127.0.0.1:{health}",
                    environment=environment,
                )
            )
            return held.enter_context(Generator(f"127.0.0.1:{otlp}", run="deliveries"))

        yield run


def to_clickhouse(server: ClickHouse, **more: Any) -> dict[str, Any]:
    return {
        "clickhouse": {
            "endpoint": server.url(),
            "database": "otel",
            "username": "default",
            "password": "${env:CLICKHOUSE_PASSWORD}",
            "create_schema": True,
            "timeout": "10s",
            "sending_queue": {"batch": {"flush_timeout": "200ms", "min_size": 1000, "max_size": 5000}},
            "retry_on_failure": {"initial_interval": "50ms", "max_interval": "500ms", "max_elapsed_time": 0},
            **more,
        }
    }


def send_all(generator: Generator) -> list[Report]:
    flows = [generator.start(signal, count=COUNT, rate=FAST) for signal in Signal]
    return [flow.finish() for flow in flows]


def wait_until_stored(server: ClickHouse, report: Report) -> Counter[int]:
    """Wait until everything acknowledged is stored; return how often each number is."""
    server.wait_until(lambda: report.acknowledged <= stored(server, report.run, report.signal).keys())
    return stored(server, report.run, report.signal)


def escaped(secret: str) -> str:
    """Escape a secret for the collector's configuration, which expands the values of variables again."""
    return secret.replace("$", "$$")


def test_each_signal_is_stored_once_in_tables_that_the_exporter_creates(
    run_collector: Run, tmp_path: Path
) -> None:
    with ClickHouse(tmp_path, password=PASSWORD) as server:
        generator = run_collector(to_clickhouse(server), CLICKHOUSE_PASSWORD=escaped(PASSWORD))
        for report in send_all(generator):
            assert report.acknowledged == frozenset(range(COUNT))
            assert wait_until_stored(server, report) == Counter(range(COUNT))

        rows = server.ask("SELECT TraceId, SpanId, ParentSpanId FROM otel.otel_traces")
        expected = {ids("deliveries", number) for number in range(COUNT)}
        assert {(row["TraceId"], row["SpanId"], row["ParentSpanId"]) for row in rows} == {
            (own.trace_id, own.span_id, own.parent_id) for own in expected
        }
        assert {request.status for request in server.requests} == {200}


def test_lettas_query_returns_the_spans_of_a_trace(run_collector: Run, tmp_path: Path) -> None:
    with ClickHouse(tmp_path, password=PASSWORD) as server:
        generator = run_collector(to_clickhouse(server), CLICKHOUSE_PASSWORD=escaped(PASSWORD))
        wait_until_stored(server, generator.start(Signal.TRACES, count=20, rate=FAST).finish())

        client = clickhouse_connect.get_client(
            host="127.0.0.1", port=server.port, username="default", password=PASSWORD, database="otel"
        )
        wanted = ids("deliveries", 8).trace_id
        found = client.query(
            "SELECT * FROM otel_traces WHERE TraceId = %(trace_id)s AND (SpanName = 'agent_step'"
            " OR SpanName LIKE '%%step%%' OR ParentSpanId = '') ORDER BY Timestamp ASC LIMIT %(limit)s",
            parameters={"trace_id": wanted, "limit": 1000},
        )

    rows = [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]
    assert [row["SpanId"] for row in rows] == [ids("deliveries", number).span_id for number in range(8, 16)]
    assert rows[0]["ResourceAttributes"] == {"service.name": SERVICE}
    assert rows[0]["SpanAttributes"] == {RUN: "deliveries", SEQUENCE: "8"}
    assert rows[0]["Events.Timestamp"] == []


@pytest.mark.parametrize("fault", [Fault.REFUSES, Fault.UNAVAILABLE, Fault.UNAUTHORIZED, Fault.NOT_FOUND])
def test_nothing_acknowledged_is_lost_while_clickhouse_has_a_fault(
    run_collector: Run, tmp_path: Path, fault: Fault
) -> None:
    with ClickHouse(tmp_path, password=PASSWORD) as server:
        generator = run_collector(to_clickhouse(server), CLICKHOUSE_PASSWORD=escaped(PASSWORD))
        flow = generator.start(Signal.TRACES, count=COUNT, rate=5000, batch=100)
        flow.wait_for(1000)
        with server.failing(fault):
            flow.wait_for(4000)
        report = flow.finish()

        assert wait_until_stored(server, report) == Counter(report.acknowledged)


def test_another_web_server_at_clickhouses_address_is_noticed_before_anything_is_inserted(
    run_collector: Run, tmp_path: Path
) -> None:
    with ClickHouse(tmp_path, password=PASSWORD) as server:
        generator = run_collector(to_clickhouse(server), CLICKHOUSE_PASSWORD=escaped(PASSWORD))
        before = len(server.requests)
        with server.failing(Fault.GARBAGE):
            report = generator.start(Signal.TRACES, count=COUNT, rate=FAST).finish()
            server.wait_until(lambda: len(server.requests) > before)

        assert wait_until_stored(server, report) == Counter(range(COUNT))


def test_an_insert_that_another_server_answers_with_200_is_lost(run_collector: Run, tmp_path: Path) -> None:
    """Show a known limit (clickhouse-go checks the status only), and that these tests can see a loss."""
    with ClickHouse(tmp_path, password=PASSWORD) as server:
        generator = run_collector(to_clickhouse(server), CLICKHOUSE_PASSWORD=escaped(PASSWORD))
        with server.failing(Fault.SWALLOWS):
            lost = generator.start(Signal.LOGS, count=10, rate=FAST).finish()
            server.wait_for(lambda request: request.statement.startswith("INSERT"))
        report = generator.start(Signal.TRACES, count=10, rate=FAST).finish()

        assert wait_until_stored(server, report) == Counter(range(10))
        assert lost.acknowledged == frozenset(range(10))
        assert stored(server, lost.run, lost.signal) == Counter()


def test_an_insert_whose_answer_was_lost_is_stored_twice(run_collector: Run, tmp_path: Path) -> None:
    with ClickHouse(tmp_path, password=PASSWORD) as server:
        generator = run_collector(to_clickhouse(server), CLICKHOUSE_PASSWORD=escaped(PASSWORD))
        with server.failing(Fault.CUTS_ANSWERS):
            flow = generator.start(Signal.LOGS, count=10, rate=FAST)
            server.wait_for(lambda request: request.written_rows > 0)
        report = flow.finish()
        server.wait_for(lambda request: request.written_rows > 0 and request.status == 200)

        assert report.acknowledged == frozenset(range(10))
        assert min(stored(server, report.run, report.signal).values()) > 1


def test_a_changed_password_delays_data_and_loses_none(run_collector: Run, tmp_path: Path) -> None:
    with ClickHouse(tmp_path, password="new") as server:
        server.accept("new", PASSWORD)
        generator = run_collector(to_clickhouse(server), CLICKHOUSE_PASSWORD=escaped(PASSWORD))
        server.accept("new")
        report = generator.start(Signal.TRACES, count=100, rate=FAST).finish()
        server.wait_for(lambda request: request.code == 516)
        assert stored(server, report.run, report.signal) == Counter()

        server.accept("new", PASSWORD)

        assert wait_until_stored(server, report) == Counter(range(100))


def test_a_server_is_trusted_by_its_authority(run_collector: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with ClickHouse(tmp_path, password=PASSWORD, certificate=authority.issue("127.0.0.1")) as server:
        exporter = to_clickhouse(server, tls={"ca_file": str(authority.certificate)})
        generator = run_collector(exporter, CLICKHOUSE_PASSWORD=escaped(PASSWORD))
        report = generator.start(Signal.LOGS, count=100, rate=FAST).finish()

        assert wait_until_stored(server, report) == Counter(range(100))


def test_datadogs_otlp_intake_receives_the_ids_that_were_sent(run_collector: Run) -> None:
    with Datadog(api_key="key") as datadog:
        exporter = {"otlp_http": {"endpoint": datadog.url(), "headers": {"dd-api-key": "${env:DD_API_KEY}"}}}
        generator = run_collector(exporter, DD_API_KEY="key")
        reports = send_all(generator)
        datadog.wait_until(
            lambda seen: min(len(seen.spans), len(seen.points), len(seen.logs)) >= COUNT, seconds=60
        )

    expected = Counter((own.trace_id, own.span_id) for own in (ids("deliveries", n) for n in range(COUNT)))
    assert [len(report.acknowledged) for report in reports] == [COUNT] * 3
    assert Counter((span.otel_trace_id, span.span_id) for span in datadog.spans) == expected
    assert Counter((log.otel_trace_id, log.span_id) for log in datadog.logs) == expected
    assert Counter(point.value for point in datadog.points) == Counter(range(COUNT))


def test_datadog_refuses_a_wrong_key_and_keeps_nothing(run_collector: Run) -> None:
    with Datadog(api_key="key") as datadog:
        exporter = {"otlp_http": {"endpoint": datadog.url(), "headers": {"dd-api-key": "${env:DD_API_KEY}"}}}
        generator = run_collector(exporter, DD_API_KEY="old")
        generator.start(Signal.TRACES, count=10, rate=FAST).finish()
        datadog.wait_until(lambda seen: len(seen.refusals) > 0)

    assert datadog.deliveries == ()
    assert {refusal.status for refusal in datadog.refusals} == {403}
