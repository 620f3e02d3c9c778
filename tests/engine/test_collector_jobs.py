"""The programs next to the collector in its image: what jobs run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

import otel
import otel.clickhouse
from testbed.clickhouse.server import ClickHouse, Fault
from testbed.containers import run_to_end
from testbed.stoppable_server import EVERY_ADDRESS, QuietHandler, StoppableServer

pytestmark = pytest.mark.engine

PASSWORD = "p$w${x} 'odd'"

Job = Callable[..., tuple[int, str]]


@pytest.fixture
def job(engine: docker.DockerClient, images: dict[str, str]) -> Job:
    """A function that runs a program of the collector's image, and returns its exit code and output."""

    def run(*command: str, files: dict[str, str] | None = None, **environment: str) -> tuple[int, str]:
        program, *arguments = command
        ended = run_to_end(
            engine, images["collector"], *arguments, entrypoint=program, files=files, environment=environment
        )
        return ended.code, ended.log

    return run


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouse]:
    with ClickHouse(tmp_path, password=PASSWORD, host=EVERY_ADDRESS) as clickhouse:
        yield clickhouse


@pytest.fixture
def create_schema(job: Job, server: ClickHouse, host_address: str) -> Job:
    """A function that runs the schema job against the server."""

    def run(password: str = PASSWORD, patience: str = "3") -> tuple[int, str]:
        endpoint = server.url(host_address)
        statements = otel.clickhouse.statements(otel.ClickHouse(endpoint=endpoint), retention_days=30)
        return job(
            "create-schema",
            files={"run/schema/statements.json": json.dumps(statements), "run/schema/password": password},
            CLICKHOUSE_ENDPOINT=endpoint,
            CLICKHOUSE_USERNAME="default",
            PATIENCE_SECONDS=patience,
        )

    return run


def test_the_schema_can_be_created_repeatedly(create_schema: Job, server: ClickHouse) -> None:
    for _ in range(2):
        code, printed = create_schema()
        assert code == 0, printed

    tables = {row["name"] for row in server.ask("SELECT name FROM system.tables WHERE database = 'otel'")}
    assert set(otel.clickhouse.TABLES) <= tables
    assert server.ask("SELECT Version FROM otel.otel_schema") == [{"Version": otel.clickhouse.SCHEMA_VERSION}]


def test_a_wrong_password_fails_the_job_at_once_and_the_message_names_the_setting_and_not_the_password(
    create_schema: Job, server: ClickHouse
) -> None:
    code, printed = create_schema(password="wrong-and-secret", patience="60")

    assert code == 1
    assert "letta:clickhousePassword" in printed
    assert "wrong-and-secret" not in printed
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.REFUSES, "ClickHouse does not answer"),
        (Fault.UNAVAILABLE, "ClickHouse does not answer"),
        (Fault.NOT_FOUND, "letta:clickhouseEndpoint"),
    ],
)
def test_a_clickhouse_with_a_fault_fails_the_job_with_the_reason(
    create_schema: Job, server: ClickHouse, fault: Fault, words: str
) -> None:
    with server.failing(fault):
        code, printed = create_schema()

    assert code == 1
    assert words in printed


class _Redirection(QuietHandler):
    def do_POST(self) -> None:  # noqa: N802
        self.server.owner.append(self.path)
        self.read_body()
        self.send_response(307)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_a_redirect_target_does_not_receive_the_password(job: Job, host_address: str) -> None:
    asked: list[str] = []
    server = StoppableServer((EVERY_ADDRESS, 0), _Redirection, asked)
    server.start()
    try:
        code, printed = job(
            "create-schema",
            files={"run/schema/statements.json": '["SELECT 1"]', "run/schema/password": PASSWORD},
            CLICKHOUSE_ENDPOINT=f"http://{host_address}:{server.port}",
            CLICKHOUSE_USERNAME="default",
            PATIENCE_SECONDS="3",
        )
    finally:
        server.close()

    assert (code, asked) == (1, ["/"])
    assert "letta:clickhouseEndpoint" in printed


class _Metrics(QuietHandler):
    def do_GET(self) -> None:  # noqa: N802
        body: bytes = self.server.owner.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.parametrize(
    ("metrics", "code", "words"),
    [
        (
            'otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"} 70\n'
            'otelcol_exporter_sent_spans{exporter="clickhouse/traces"} 70\n'
            'otelcol_exporter_queue_size{data_type="traces",exporter="clickhouse/traces"} 0\n',
            0,
            "70 spans accepted, 70 sent by clickhouse/traces",
        ),
        ("otelcol_process_uptime 5\n", 0, "nothing came in"),
        (
            'otelcol_receiver_accepted_spans{receiver="otlp"} 70\n'
            'otelcol_exporter_queue_size{data_type="traces",exporter="clickhouse/traces"} 512\n',
            1,
            "clickhouse/traces has sent nothing of what waits in its queue of spans",
        ),
        (
            'otelcol_exporter_sent_spans{exporter="clickhouse/traces"} 70\n'
            'otelcol_exporter_enqueue_failed_spans{exporter="clickhouse/traces"} 1\n',
            1,
            "clickhouse/traces could not put 1 spans into its queue",
        ),
        ('otelcol_queue_disk_full{otel_scope_name="collector"} 1\n', 1, "the disk of the queues is full"),
    ],
    ids=["delivers", "idle", "stuck", "loses", "full disk"],
)
def test_soak_fails_only_when_something_is_lost_or_refused_or_nothing_is_delivered(
    job: Job, host_address: str, metrics: str, code: int, words: str
) -> None:
    server = StoppableServer((EVERY_ADDRESS, 0), _Metrics, metrics)
    server.start()
    try:
        ended, printed = job("soak", "1", f"http://{host_address}:{server.port}/metrics")
    finally:
        server.close()

    assert (ended, words in printed) == (code, True), printed


def test_soak_fails_when_the_collector_is_gone(job: Job) -> None:
    code, printed = job("soak", "1", "http://127.0.0.1:1/metrics")

    assert code == 1
    assert "cannot be read" in printed


def test_the_image_has_run_job_which_ends_with_its_commands_code(job: Job) -> None:
    # The contract of both implementations is tested in images/collector/cmd/run-job.
    code, printed = job("run-job", "soak")

    assert code == 1
    assert "run-job: soak failed with exit code 1" in printed
    assert job("run-job", "--succeeded")[0] == 1
