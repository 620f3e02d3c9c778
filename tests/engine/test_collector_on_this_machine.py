"""`collector run` as users start it, without Docker: fed over OTLP, inspected while it runs, and stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

import otel
from testbed.clickhouse.server import ClickHouse
from testbed.collector import program
from testbed.otlp import spans
from testbed.otlp.generator import Generator, Report
from testbed.otlp.items import RUN, SEQUENCE, SERVICE, Signal, ids
from testbed.polling import eventually
from testbed.ports import reserved
from toolchain import locations

pytestmark = pytest.mark.engine

PASSWORD = "p$w${x} 'odd' 0123"
NAME = "on this machine"
COUNT = 1000
SECONDS = 60.0
OURS = re.compile("CLICKHOUSE_|SIGNOZ_|DD_|GRAFANA_|LETTA_|OTEL_|XDG_")


@dataclass(frozen=True, kw_only=True)
class Running:
    """A running command."""

    process: subprocess.Popen[bytes]
    home: Path
    output: Path
    otlp: int
    health: str

    @property
    def state(self) -> Path:
        return self.home / ".local" / "state" / "letta-platform" / "collector"

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def collector(self) -> psutil.Process:
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def wait_until_up(self) -> None:
        for attempt in eventually(SECONDS, every=0.1):
            with attempt:
                assert self.process.poll() is None, self.said
                httpx.get(self.health, timeout=1.0).raise_for_status()

    def send(self, *signals: Signal) -> tuple[Report, ...]:
        with Generator(f"127.0.0.1:{self.otlp}", run=NAME) as generator:
            return tuple(generator.start(one, count=COUNT, rate=1e9).finish() for one in signals)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


@contextmanager
def running(home: Path, *options: str, version: str = otel.DEFAULT_VERSION, **variables: str) -> Iterator[Running]:
    """Start the command with its own home, and with the given variables only."""
    # Built in advance, so that the command finds it in the shared cache.
    program(version)
    inherited = {name: value for name, value in os.environ.items() if not OURS.match(name)}
    own = {"HOME": str(home), "LETTA_CACHE_HOME": str(locations.cache_home()), "LETTA_COLLECTOR_ROUTE": "go"}
    output = home / "output"
    with ExitStack() as held:
        grpc, http, health, metrics = held.enter_context(reserved(4))
        ports = {"grpc": grpc, "http": http, "health": health, "metrics": metrics}
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "operations", "collector", "run", "--version", version, *options),
                *(word for name, port in ports.items() for word in (f"--{name}-port", str(port))),
            ],
            cwd=locations.ROOT,
            env={**inherited, **own, **variables},
            stdin=subprocess.DEVNULL,
            stdout=held.enter_context(output.open("wb")),
            stderr=subprocess.STDOUT,
        )
        try:
            yield Running(
                process=process, home=home, output=output, otlp=grpc, health=f"http://127.0.0.1:{health}"
            )
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(SECONDS)


def expected(report: Report) -> Counter[tuple[str, str]]:
    assert len(report.acknowledged) == COUNT
    return Counter((own.trace_id, own.span_id) for own in (ids(NAME, number) for number in range(COUNT)))


@pytest.mark.parametrize(
    ("version", "ending"),
    [
        (otel.DEFAULT_VERSION, signal.SIGTERM),
        (otel.DEFAULT_VERSION, signal.SIGINT),
        ("0.96.0", signal.SIGTERM),
    ],
)
def test_in_an_empty_home_it_writes_what_it_was_sent_and_ends_in_order(
    tmp_path: Path, version: str, ending: signal.Signals
) -> None:
    variables = {"GRAFANA_URL": "https://grafana.example/", "LETTA_ENVIRONMENT": "laptop"}
    with running(tmp_path, version=version, **variables) as command:
        command.wait_until_up()
        (report,) = command.send(Signal.TRACES)
        code = command.end(ending)

    assert code == 0, command.said
    written = list(spans.parse((command.state / "data" / otel.TRACES_FILE).read_text()))
    assert Counter((span.trace_id, span.span_id) for span in written) == expected(report)
    device = (command.state / "device-id").read_text().strip()
    assert {span.resource["device.id"] for span in written} == {device}
    assert {span.resource["deployment.environment"] for span in written} == {"laptop"}
    assert "profile file-dev: neither ClickHouse nor SigNoz is configured; development variant." in command.said
    assert f"traces: https://grafana.example/d/letta-service?var-device_id={device}\n" in command.said
    assert all(warning in command.said for warning in otel.VULNERABILITIES[version])


@pytest.mark.parametrize("version", otel.VERSIONS)
def test_it_creates_clickhouses_tables_delivers_to_them_and_keeps_the_password_secret(
    tmp_path: Path, version: str
) -> None:
    with ClickHouse(tmp_path, password=PASSWORD) as server:
        variables = {"CLICKHOUSE_ENDPOINT": server.url(), "CLICKHOUSE_PASSWORD": PASSWORD}
        with running(tmp_path, version=version, **variables) as command:
            command.wait_until_up()
            (secret,) = (command.state / "secrets").iterdir()
            mode = secret.stat().st_mode & 0o777
            seen = [*command.collector.cmdline(), *command.collector.environ().values()]
            traces, metrics = command.send(Signal.TRACES, Signal.METRICS)
            for attempt in eventually(SECONDS, every=0.1):
                with attempt:
                    points = server.ask("SELECT count() AS n FROM otel.otel_metrics_gauge")
                    stored = server.ask("SELECT TraceId, SpanId FROM otel.otel_traces")
                    assert len(stored) >= COUNT
                    assert points[0]["n"] >= COUNT
            code = command.end()

        assert code == 0, command.said
        stored = server.ask("SELECT TraceId, SpanId FROM otel.otel_traces")
        (counted,) = server.ask(
            f"SELECT uniqExact(Attributes['{SEQUENCE}']) AS unique, count() AS n FROM otel.otel_metrics_gauge"  # noqa: S608
            f" WHERE ServiceName = '{SERVICE}' AND Attributes['{RUN}'] = '{NAME}'"
        )
    assert Counter((row["TraceId"], row["SpanId"]) for row in stored) == expected(traces)
    assert len(metrics.acknowledged) == COUNT
    assert counted == {"unique": COUNT, "n": COUNT}
    assert "profile clickhouse-dev: ClickHouse's endpoint and password are set" in command.said
    assert "created ClickHouse's tables" in command.said
    assert mode == 0o600
    assert PASSWORD not in "\n".join(seen)
    assert PASSWORD not in command.said
    assert PASSWORD not in (command.state / "collector.yaml").read_text()
    assert not (command.state / "secrets").exists()


def test_production_reads_the_log_files_of_a_server_on_this_machine(tmp_path: Path) -> None:
    # Recent: lines older than the tables' retention would be removed at once.
    now = datetime.now(UTC)
    logs = tmp_path / ".letta" / "logs"
    logs.mkdir(parents=True)
    line = {"timestamp": now.isoformat(), "level": "ERROR", "message": "it went wrong"}
    (logs / "Letta.log").write_text(json.dumps(line) + "\n")
    with ClickHouse(tmp_path, password=PASSWORD) as server:
        variables = {"CLICKHOUSE_ENDPOINT": server.url(), "CLICKHOUSE_PASSWORD": PASSWORD}
        with running(tmp_path, "--production", **variables) as command:
            command.wait_until_up()
            for attempt in eventually(SECONDS, every=0.1):
                with attempt:
                    found = server.ask("SELECT Body, SeverityText FROM otel.otel_logs")
                    assert found
            code = command.end()

    assert code == 0, command.said
    assert found == [{"Body": "it went wrong", "SeverityText": "ERROR"}]
    assert "profile clickhouse: " in command.said


def test_while_clickhouse_is_down_it_says_so_and_queues_what_it_receives(tmp_path: Path) -> None:
    with reserved(1) as (unused,):
        variables = {"CLICKHOUSE_ENDPOINT": f"http://127.0.0.1:{unused}", "CLICKHOUSE_PASSWORD": PASSWORD}
        with running(tmp_path, "--production", **variables) as command:
            command.wait_until_up()
            (report,) = command.send(Signal.TRACES)
            code = command.end()
    assert code == 0, command.said
    assert "warning: ClickHouse does not answer" in command.said
    with ClickHouse(tmp_path, password=PASSWORD) as server:
        variables["CLICKHOUSE_ENDPOINT"] = server.url()
        with running(tmp_path, "--production", **variables) as again:
            for attempt in eventually(SECONDS, every=0.1):
                with attempt:
                    assert again.process.poll() is None, again.said
                    stored = server.ask("SELECT TraceId, SpanId FROM otel.otel_traces")
                    assert len(stored) >= COUNT
            assert again.end() == 0

    assert Counter((row["TraceId"], row["SpanId"]) for row in stored) == expected(report)


def test_an_old_collector_is_not_started_while_clickhouse_is_down(tmp_path: Path) -> None:
    with reserved(1) as (unused,):
        variables = {"CLICKHOUSE_ENDPOINT": f"http://127.0.0.1:{unused}", "CLICKHOUSE_PASSWORD": PASSWORD}
        with running(tmp_path, version="0.96.0", **variables) as command:
            code = command.process.wait(SECONDS)

    assert code == 1
    assert "error: ClickHouse does not answer" in command.said
    assert "Collector 0.96.0 does not start without it" in command.said


def test_the_exit_code_is_the_collectors_and_secrets_are_removed_even_when_it_is_killed(tmp_path: Path) -> None:
    with ClickHouse(tmp_path, password=PASSWORD) as server:
        variables = {"CLICKHOUSE_ENDPOINT": server.url(), "CLICKHOUSE_PASSWORD": PASSWORD}
        with running(tmp_path, **variables) as command:
            command.wait_until_up()
            command.collector.kill()
            code = command.process.wait(SECONDS)

    assert code == 128 + signal.SIGKILL
    assert not (command.state / "secrets").exists()
