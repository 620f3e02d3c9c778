"""The profiles that `test_telemetry` does not cover, checked in their backends.

One stack in its production variant whose destinations change: files, then SigNoz, then ClickHouse and Datadog,
whose certificates are trusted only by `telemetryCaBundle`. Each fixture is one more `pulumi up`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from letta_client import Letta

import catalogue
import otel
from testbed.agents import new_agent, read_trace, run_of
from testbed.canary.search import plant_canaries
from testbed.certificates import Authority
from testbed.clickhouse.server import ClickHouse
from testbed.datadog.records import Log, Span
from testbed.datadog.server import Datadog
from testbed.deployment import Deployment, NewDeployment
from testbed.forwarder import Forwarder
from testbed.losses.backends import InSigNoz
from testbed.otlp import spans
from testbed.otlp.items import Signal
from testbed.polling import eventually
from testbed.stoppable_server import EVERY_ADDRESS

pytestmark = pytest.mark.engine

SERVER, COLLECTOR = str(catalogue.LETTA.user), str(catalogue.COLLECTOR.user)
SITE = "datadog.invalid"
"""Not a real site: nothing can leave this machine."""
REQUESTS = "count_endpoint_requests"
KEYS = plant_canaries("clickhousePassword", "serverPassword", "openaiApiKey", "datadogApiKey")

Ids = tuple[str, str]
"""A trace id and a span id."""


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One message to a new agent: the server counts it by the agent's id, and returns its trace id."""

    agent: str
    run: str
    trace: str


def converse(stack: Deployment) -> Conversation:
    client = Letta(base_url=stack.outputs()["apiUrl"], api_key=KEYS["serverPassword"])
    agent = new_agent(client)
    answer = client.agents.messages.create(
        agent,
        messages=[{"role": "user", "content": "to be traced"}],
        extra_headers={"x-agent-id": agent},
    )
    run = run_of(answer)
    (trace,) = {str(step.trace_id) for step in client.runs.steps.list(run)}
    return Conversation(agent=agent, run=run, trace=trace)


def logged(stack: Deployment, trace: str) -> Counter[Ids]:
    """Return the ids of the trace's lines in the server's log files."""
    text = stack.read_volume(f"letta-{stack.stack}-logs", "*/*/logs/Letta.log*", user=SERVER)
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    of_spans = [(int(one["dd.trace_id"]), int(one["dd.span_id"])) for one in lines if "dd.trace_id" in one]
    return Counter((f"{of:032x}", f"{span:016x}") for of, span in of_spans if of == int(trace, 16))


def spans_of(text: str, trace: str) -> list[spans.Span]:
    """Return the spans of a trace, from OTLP as JSON."""
    return [span for span in spans.parse(text) if span.trace_id == trace]


def requests_in(text: str, agent: str) -> int:
    """Return how many requests for an agent the server counted, from OTLP as JSON."""
    points = [
        point
        for metric in spans.items(text, "metrics")
        if metric["name"] == REQUESTS
        for point in metric["sum"]["dataPoints"]
    ]
    own = {"key": "agent.id", "value": {"stringValue": agent}}
    return sum(int(point["asInt"]) for point in points if own in point["attributes"])


# -- files -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stack(new_deployment: NewDeployment, llm_url: str) -> Iterator[Deployment]:
    deployment = new_deployment(
        openaiBaseUrl=llm_url,
        telemetryVariant="production",
        # The default is once a minute.
        serverEnvironment={"OTEL_METRIC_EXPORT_INTERVAL": "2000"},
    )
    deployment.pulumi("stack", "init")
    for key in ("serverPassword", "openaiApiKey"):
        deployment.set_secret(key, KEYS[key])
    deployment.make("up")
    yield deployment
    deployment.make("down", "YES=1")


def test_file_has_the_spans_and_metrics_of_a_conversation(stack: Deployment) -> None:
    outputs = stack.outputs()
    assert outputs["telemetryProfile"] == "file"
    held = converse(stack)

    for attempt in eventually(30):
        with attempt:
            traces = stack.read_volume(outputs["tracesVolume"], outputs["tracesFile"], user=COLLECTOR)
            found = spans_of(traces, held.trace)
            assert {"agent_step", "POST /v1/agents/{agent_id}/messages"} <= {one.name for one in found}
            metrics = stack.read_volume(outputs["tracesVolume"], "metrics.json", user=COLLECTOR)
            assert requests_in(metrics, held.agent) == 1


# -- SigNoz ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def signoz(
    authority: Authority, host_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InSigNoz]:
    with InSigNoz(tmp_path_factory.mktemp("received"), authority, host=host_address) as server:
        yield server


@pytest.fixture(scope="module")
def distrusting(stack: Deployment, signoz: InSigNoz, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The stack with SigNoz, and a CA bundle that does not trust SigNoz' certificate."""
    other = Authority(tmp_path_factory.mktemp("other"), name="another authority")
    stack.set(signozEndpoint=signoz.destination.endpoint, telemetryCaBundle=str(other.certificate))
    stack.set_secret("signozIngestionKey", signoz.secrets[otel.SIGNOZ_INGESTION_KEY])
    stack.pulumi("up", "--yes", "--skip-preview")
    return stack


@pytest.fixture(scope="module")
def kept(distrusting: Deployment) -> Conversation:
    """A conversation while SigNoz was not trusted."""
    return converse(distrusting)


@pytest.fixture(scope="module")
def with_signoz(distrusting: Deployment, kept: Conversation, authority: Authority) -> Deployment:  # noqa: ARG001
    distrusting.set(telemetryCaBundle=str(authority.certificate))
    distrusting.pulumi("up", "--yes", "--skip-preview")
    return distrusting


def test_doctor_reports_an_untrusted_certificate(
    distrusting: Deployment, signoz: InSigNoz, kept: Conversation
) -> None:
    for attempt in eventually(60):
        with attempt:
            doctor = distrusting.make("doctor", check=False)
            assert "SigNoz has a certificate that is not trusted" in doctor.output
            assert "letta:telemetryCaBundle" in doctor.output
    assert not signoz.received(Signal.TRACES), f"trace {kept.trace} was sent to an untrusted server"


def test_queued_signals_are_delivered_when_the_certificate_becomes_trusted(
    with_signoz: Deployment,  # noqa: ARG001
    signoz: InSigNoz,
    kept: Conversation,
) -> None:
    for attempt in eventually(60):
        with attempt:
            found = spans_of(signoz.received(Signal.TRACES), kept.trace)
            assert "agent_step" in {one.name for one in found}
            assert requests_in(signoz.received(Signal.METRICS), kept.agent) == 1


def test_signoz_has_the_spans_metrics_and_log_lines_that_the_server_made(
    with_signoz: Deployment, signoz: InSigNoz
) -> None:
    assert with_signoz.outputs()["telemetryProfile"] == "signoz"
    held = converse(with_signoz)

    for attempt in eventually(60):
        with attempt:
            found = spans_of(signoz.received(Signal.TRACES), held.trace)
            assert {"agent_step", "POST /v1/agents/{agent_id}/messages"} <= {one.name for one in found}
            records = spans.items(signoz.received(Signal.LOGS), "logRecords")
            lines = Counter((one.get("traceId", ""), one.get("spanId", "")) for one in records)
            written = logged(with_signoz, held.trace)
            assert written
            assert {ids: count for ids, count in lines.items() if ids[0] == held.trace} == written
            assert written.keys() <= {(one.trace_id, one.span_id) for one in found}
            assert requests_in(signoz.received(Signal.METRICS), held.agent) == 1


# -- ClickHouse and Datadog ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clickhouse(
    authority: Authority, host_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClickHouse]:
    with ClickHouse(
        tmp_path_factory.mktemp("clickhouse"),
        password=KEYS["clickhousePassword"],
        host=EVERY_ADDRESS,
        certificate=authority.issue(host_address),
    ) as server:
        yield server


@pytest.fixture(scope="module")
def datadog(with_signoz: Deployment, authority: Authority, host_address: str) -> Iterator[Datadog]:
    """Datadog's intake, by its own host name on the collectors' network."""
    name = f"otlp.{SITE}"
    networks = with_signoz.container("collector").attrs["NetworkSettings"]["Networks"]
    with (
        Datadog(api_key=KEYS["datadogApiKey"], host=EVERY_ADDRESS, certificate=authority.issue(name)) as server,
        Forwarder(
            with_signoz.engine,
            image=with_signoz.outputs()["images"]["letta"],
            network=next(one for one in networks if "-egress-collector" in one),
            name=name,
            port=443,
            to=(host_address, server.port),
        ),
    ):
        yield server


@pytest.fixture(scope="module")
def production(
    with_signoz: Deployment,
    clickhouse: ClickHouse,
    datadog: Datadog,  # noqa: ARG001
    host_address: str,
) -> Deployment:
    """The stack with both, deployed with `make up`, whose last step finds its probe span in ClickHouse."""
    with_signoz.set(clickhouseEndpoint=clickhouse.url(host_address), datadogSite=SITE)
    for key in ("clickhousePassword", "datadogApiKey"):
        with_signoz.set_secret(key, KEYS[key])
    up = with_signoz.make("up")
    assert "a probe span was sent and has arrived" in up.output
    return with_signoz


@pytest.fixture(scope="module")
def held(production: Deployment) -> Conversation:
    return converse(production)


def in_clickhouse(server: ClickHouse, trace: str, table: str = "otel_traces") -> Counter[Ids]:
    rows = server.ask(
        f"SELECT TraceId, SpanId FROM otel.{table} WHERE TraceId = {{trace:String}}",  # noqa: S608
        parameters={"trace": trace},
    )
    return Counter((row["TraceId"], row["SpanId"]) for row in rows)


def in_datadog(records: Iterable[Span | Log], trace: str) -> Counter[Ids]:
    return Counter((one.otel_trace_id, one.span_id) for one in records if one.otel_trace_id == trace)


def test_clickhouse_prod_delivers_spans_metrics_and_log_lines_to_clickhouse_and_to_datadog(
    production: Deployment, clickhouse: ClickHouse, datadog: Datadog, held: Conversation
) -> None:
    assert production.outputs()["telemetryProfile"] == "clickhouse-prod"

    for attempt in eventually(60):
        with attempt:
            there = in_clickhouse(clickhouse, held.trace)
            assert there
            assert set(there.values()) == {1}
            assert in_datadog(datadog.spans, held.trace) == there
            written = logged(production, held.trace)
            assert written
            assert in_clickhouse(clickhouse, held.trace, "otel_logs") == written
            assert in_datadog(datadog.logs, held.trace) == written
            assert written.keys() <= there.keys(), "a log line has no span"
            (counted,) = clickhouse.ask(
                "SELECT sum(Value) AS n FROM otel.otel_metrics_sum"
                " WHERE MetricName = {metric:String} AND Attributes['agent.id'] = {agent:String}",
                parameters={"metric": REQUESTS, "agent": held.agent},
            )
            assert counted["n"] == 1
            points = [one for one in datadog.points if f"agent.id:{held.agent}" in one.tags]
            assert [(one.kind, one.value) for one in points if one.metric == REQUESTS] == [("delta", 1)]


def test_the_server_trusts_clickhouse_when_it_reads_a_trace(production: Deployment, held: Conversation) -> None:
    for attempt in eventually(60):
        with attempt:
            assert held.trace in read_trace(production.outputs()["apiUrl"], KEYS["serverPassword"], held.run)


def test_doctor_reports_a_key_that_datadog_refuses_and_clickhouse_is_not_affected(
    production: Deployment, clickhouse: ClickHouse, datadog: Datadog
) -> None:
    datadog.api_key = "another key"
    held = converse(production)

    for attempt in eventually(60):
        with attempt:
            assert in_clickhouse(clickhouse, held.trace)
            doctor = production.make("doctor", check=False)
            assert "Datadog refuses user, password or key" in doctor.output
            assert "letta:datadogApiKey" in doctor.output
    assert {one.status for one in datadog.refusals} == {403}
    assert not in_datadog(datadog.spans, held.trace)
