"""Telemetry of deployed stacks, read back from ClickHouse: what servers send, and that updates lose nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import letta_client
import pytest
from letta_client import Letta

from otel import component_configs
from testbed.agents import new_agent, read_trace, run_of, send
from testbed.canary.channels import channels_of
from testbed.canary.search import find_leaks, plant_canaries
from testbed.clickhouse.rows import stored
from testbed.clickhouse.server import ClickHouse, Fault
from testbed.deployment import Deployment, NewDeployment
from testbed.otlp.generator import Generator, Report
from testbed.otlp.items import Signal
from testbed.polling import eventually
from testbed.stoppable_server import EVERY_ADDRESS
from toolchain.locations import ROOT

pytestmark = pytest.mark.engine

RATE = 100


# -- a development stack: files and ClickHouse -----------------------------------------------------------


def test_a_conversations_spans_are_in_clickhouse_with_device_and_environment(
    client: Letta, clickhouse: ClickHouse
) -> None:
    agent = new_agent(client)
    send(client, agent, "to be traced")

    for attempt in eventually(60):
        with attempt:
            turns = clickhouse.ask(
                "SELECT TraceId, ResourceAttributes AS resource FROM otel.otel_traces"
                " WHERE SpanName LIKE 'POST /v1/agents/%' AND has(mapValues(SpanAttributes), {agent:String})",
                parameters={"agent": agent},
            )
            assert turns, "the request left no span"
            children = clickhouse.ask(
                "SELECT count() AS n FROM otel.otel_traces WHERE TraceId = {trace:String}",
                parameters={"trace": turns[0]["TraceId"]},
            )
            assert children[0]["n"] > 1, "the request's span has no child"
    assert turns[0]["resource"]["deployment.environment"] == "dev"
    assert turns[0]["resource"]["device.id"]


def test_servers_metrics_are_in_clickhouse(platform: Deployment, client: Letta, clickhouse: ClickHouse) -> None:  # noqa: ARG001
    client.agents.list()

    for attempt in eventually(120):  # the server sends them once a minute
        with attempt:
            names = {
                row["MetricName"]
                for kind in ("sum", "histogram")
                for row in clickhouse.ask(f"SELECT DISTINCT MetricName FROM otel.otel_metrics_{kind}")  # noqa: S608
            }
            assert any("endpoint" in name for name in names), names


def test_the_server_reads_a_runs_trace_from_clickhouse(
    platform: Deployment, client: Letta, canaries: dict[str, str]
) -> None:
    agent = new_agent(client)
    run = run_of(send(client, agent, "read me back"))

    for attempt in eventually(60):
        with attempt:
            trace = read_trace(platform.outputs()["apiUrl"], canaries["serverPassword"], run)
            assert json.loads(trace), "the trace is empty"


def test_the_outputs_name_the_profile_its_reason_and_its_limitations(platform: Deployment) -> None:
    outputs = platform.outputs()

    assert outputs["telemetryProfile"] == "clickhouse-dev"
    assert "ClickHouse" in outputs["telemetryReason"]
    assert any("Files have no queue" in one for one in outputs["telemetryLimitations"])


# -- a production stack: two collectors, log files, an old version first ----------------------------------


@pytest.fixture(scope="module")
def passwords() -> dict[str, str]:
    return plant_canaries("clickhousePassword", "serverPassword", "openaiApiKey", "rotatedPassword")


@pytest.fixture(scope="module")
def backend(passwords: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    folder = tmp_path_factory.mktemp("production")
    with ClickHouse(folder, password=passwords["clickhousePassword"], host=EVERY_ADDRESS) as server:
        yield server


@pytest.fixture(scope="module")
def production(
    new_deployment: NewDeployment, llm_url: str, host_address: str, backend: ClickHouse, passwords: dict[str, str]
) -> Iterator[Deployment]:
    """A stack as in production, with the old collector."""
    deployment = new_deployment(
        openaiBaseUrl=llm_url,
        clickhouseEndpoint=backend.url(host_address),
        telemetryVariant="production",
        collectorVersion="0.96.0",
        collectorReplicas="2",
        collectorWatchSeconds="5",
        deploymentEnvironment="trial",
    )
    deployment.pulumi("stack", "init")
    for key in ("clickhousePassword", "serverPassword", "openaiApiKey"):
        deployment.set_secret(key, passwords[key])
    up = deployment.make("up")
    assert "GHSA-c74f-6mfw-mm4v" in up.output
    yield deployment
    deployment.make("down", "YES=1")


@contextmanager
def load(stack: Deployment, password: str, run: str) -> Iterator[tuple[list[Report], list[Exception]]]:
    """Send signals to the collector and requests to the API; yields lists that get the outcomes at the end."""
    reports: list[Report] = []
    failures: list[Exception] = []
    over = threading.Event()
    outputs = stack.outputs()
    client = Letta(base_url=outputs["apiUrl"], api_key=password, max_retries=0)

    def ask() -> None:
        while not over.is_set():
            try:
                client.agents.list(limit=1)
            except letta_client.LettaError as error:
                failures.append(error)
            time.sleep(0.1)

    asking = threading.Thread(target=ask)
    port = outputs["otlpGrpcEndpoint"].rpartition(":")[2]
    with Generator(f"127.0.0.1:{port}", run=run) as generator:
        # More than an update takes; stopped when it is over.
        flows = [generator.start(signal, count=RATE * 600, rate=RATE, seconds=900) for signal in Signal]
        asking.start()
        try:
            for flow in flows:
                flow.wait_for(RATE)
            yield reports, failures
            for flow in flows:
                sent = len(flow.report().acknowledged)
                flow.wait_for(sent + RATE)
        finally:
            over.set()
            asking.join()
            for flow in flows:
                flow.stop()
            reports += [flow.finish() for flow in flows]


def is_stored(backend: ClickHouse, report: Report) -> bool:
    return report.acknowledged <= stored(backend, report.run, report.signal).keys()


def assert_everything_acknowledged_is_stored(backend: ClickHouse, reports: list[Report]) -> None:
    assert len(reports) == len(Signal)
    for report in reports:
        assert report.acknowledged
        backend.wait_until(partial(is_stored, backend, report), seconds=90)


def test_an_upgrade_of_the_collector_under_load_loses_nothing_and_fails_no_request(
    production: Deployment, backend: ClickHouse, passwords: dict[str, str]
) -> None:
    before = {str(one.id) for one in production.containers("collector")}
    server = production.container("letta").id

    with load(production, passwords["serverPassword"], "upgrade") as (reports, failures):
        production.set(collectorVersion=None)
        production.pulumi("up", "--yes", "--skip-preview")

    assert_everything_acknowledged_is_stored(backend, reports)
    assert failures == []
    after = {str(one.id) for one in production.containers("collector")}
    assert len(after) == 2
    assert not before & after
    assert production.container("letta").id == server


def test_log_lines_of_a_request_have_its_trace_id(
    production: Deployment, backend: ClickHouse, passwords: dict[str, str]
) -> None:
    client = Letta(base_url=production.outputs()["apiUrl"], api_key=passwords["serverPassword"])
    agent = new_agent(client)
    send(client, agent, "leave a line")

    for attempt in eventually(60):
        with attempt:
            (joined,) = backend.ask(
                "SELECT count() AS n, uniqExact(LogAttributes['log.file.path']) AS files FROM otel.otel_logs"
                " WHERE ServiceName = 'letta-server' AND TraceId != ''"
                " AND TraceId IN (SELECT TraceId FROM otel.otel_traces)"
            )
            assert joined["n"] > 0, "no line has a trace id"
    twice = backend.ask(
        "SELECT Body, Timestamp, count() AS n FROM otel.otel_logs WHERE ServiceName = 'letta-server'"
        " GROUP BY ALL HAVING n > 1"
    )
    assert twice == [], "a line was read by both collectors"


def test_rotating_clickhouses_password_under_load_loses_nothing_and_fails_no_request(
    production: Deployment, backend: ClickHouse, passwords: dict[str, str]
) -> None:
    with load(production, passwords["serverPassword"], "rotation") as (reports, failures):
        backend.accept(passwords["rotatedPassword"])
        for attempt in eventually(60):
            with attempt:
                doctor = production.make("doctor", check=False)
                assert "ClickHouse refuses user, password or key" in doctor.output
                assert "letta:clickhousePassword" in doctor.output
        production.set_secret("clickhousePassword", passwords["rotatedPassword"])
        production.pulumi("up", "--yes", "--skip-preview")

    assert_everything_acknowledged_is_stored(backend, reports)
    assert failures == []
    production.make("up")


def test_a_second_preview_of_a_production_stack_shows_no_changes(production: Deployment) -> None:
    production.pulumi("preview", "--expect-no-changes")
    production.pulumi("refresh", "--preview-only", "--expect-no-changes")


def test_a_configuration_that_the_collector_rejects_replaces_no_collector(production: Deployment) -> None:
    before = {str(one.id) for one in production.containers("collector")}
    source = production.root / Path(component_configs.__file__).relative_to(ROOT)
    good = source.read_text()
    source.write_text(good.replace('"check_interval"', '"chekc_interval"'))
    try:
        failed = production.pulumi("up", "--yes", "--skip-preview", check=False)
    finally:
        source.write_text(good)

    assert failed.code != 0
    assert "chekc_interval" in failed.output
    assert {str(one.id) for one in production.containers("collector")} == before
    production.pulumi("up", "--yes", "--skip-preview")


def test_while_clickhouse_is_down_an_update_fails_and_server_and_collectors_keep_working(
    production: Deployment, backend: ClickHouse, passwords: dict[str, str]
) -> None:
    under_load = load(production, passwords["serverPassword"], "outage")
    with backend.failing(Fault.REFUSES), under_load as (reports, failures):
        production.set(telemetryRetentionDays="7")
        failed = production.pulumi("up", "--yes", "--skip-preview", check=False)
        assert failed.code != 0
        assert "ClickHouse does not answer" in failed.output

    assert failures == []
    assert_everything_acknowledged_is_stored(backend, reports)
    production.pulumi("up", "--yes", "--skip-preview")
    (kept,) = backend.ask("SELECT create_table_query AS q FROM system.tables WHERE name = 'otel_traces'")
    assert "toIntervalDay(7)" in kept["q"]


def test_no_secret_of_the_production_stack_is_found_anywhere(
    production: Deployment, passwords: dict[str, str]
) -> None:
    assert find_leaks(passwords, channels_of(production)) == []
