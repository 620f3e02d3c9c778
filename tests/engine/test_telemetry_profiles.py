"""What the profiles promise beyond those of `test_telemetry`, read from their backends.

One stack in its production variant, whose destinations change: files, then SigNoz, then ClickHouse and Datadog,
with certificates by an authority that `telemetryCaBundle` alone names. Each fixture is one more `pulumi up`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx
import pytest
from letta_client import Letta

import otel
from testbed.canary.search import plant_canaries
from testbed.certificates import Authority
from testbed.clickhouse.server import ClickHouse
from testbed.datadog.payloads import Log, Span
from testbed.datadog.server import Datadog
from testbed.deployment import Deployment
from testbed.forwarder import Forwarder
from testbed.losses.backends import InSigNoz
from testbed.otlp import spans
from testbed.otlp.items import Signal
from tests.engine.conftest import EVERYWHERE, NewDeployment, eventually, new_agent

pytestmark = pytest.mark.engine

SERVER, COLLECTOR = "10001", "10005"
SITE = "datadog.invalid"
"""No site of theirs: without the stand-in nothing answers, and nothing leaves this machine."""
REQUESTS = "count_endpoint_requests"
KEYS = plant_canaries("clickhousePassword", "serverPassword", "openaiApiKey", "datadogApiKey")

Ids = tuple[str, str]
"""Of trace and span."""


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One message to an agent of its own: the server counts it under the agent, and names its trace."""

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
    run = next(str(one.run_id) for one in answer.messages if one.run_id)
    (trace,) = {str(step.trace_id) for step in client.runs.steps.list(run)}
    return Conversation(agent=agent, run=run, trace=trace)


def logged(stack: Deployment, trace: str) -> Counter[Ids]:
    """Give the ids of the trace's lines in the server's log files."""
    text = stack.read_volume(f"letta-{stack.stack}-logs", "*/*/logs/Letta.log*", user=SERVER)
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    of_spans = [(int(one["dd.trace_id"]), int(one["dd.span_id"])) for one in lines if "dd.trace_id" in one]
    return Counter((f"{of:032x}", f"{span:016x}") for of, span in of_spans if of == int(trace, 16))


def requests_in(text: str, agent: str) -> int:
    """Give how many requests about an agent the server has counted, in OTLP as JSON."""
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
        # Otherwise once a minute.
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
            found = spans.find(spans.parse(traces), trace_id=held.trace)
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
    """Give the stack with SigNoz, and with an authority that did not sign SigNoz' certificate."""
    other = Authority(tmp_path_factory.mktemp("other"), name="somebody else")
    stack.set(signozEndpoint=signoz.destination.endpoint, telemetryCaBundle=str(other.certificate))
    stack.set_secret("signozIngestionKey", signoz.secrets[otel.SIGNOZ_INGESTION_KEY])
    stack.pulumi("up", "--yes", "--skip-preview")
    return stack


@pytest.fixture(scope="module")
def kept(distrusting: Deployment) -> Conversation:
    """Give a conversation that was held while SigNoz was not trusted."""
    return converse(distrusting)


@pytest.fixture(scope="module")
def with_signoz(distrusting: Deployment, kept: Conversation, authority: Authority) -> Deployment:  # noqa: ARG001
    distrusting.set(telemetryCaBundle=str(authority.certificate))
    distrusting.pulumi("up", "--yes", "--skip-preview")
    return distrusting


def test_the_doctor_says_that_a_backends_certificate_is_not_trusted(
    distrusting: Deployment, signoz: InSigNoz, kept: Conversation
) -> None:
    for attempt in eventually(60):
        with attempt:
            told = distrusting.make("doctor", check=False)
            assert "SigNoz has a certificate that is not trusted" in told.output
            assert "letta:telemetryCaBundle" in told.output
    assert not signoz.received(Signal.TRACES), f"trace {kept.trace} went to whoever answered"


def test_what_was_kept_while_the_certificate_was_not_trusted_arrives_when_it_is(
    with_signoz: Deployment,  # noqa: ARG001
    signoz: InSigNoz,
    kept: Conversation,
) -> None:
    for attempt in eventually(60):
        with attempt:
            found = spans.find(spans.parse(signoz.received(Signal.TRACES)), trace_id=kept.trace)
            assert "agent_step" in {one.name for one in found}
            assert requests_in(signoz.received(Signal.METRICS), kept.agent) == 1


def test_signoz_has_the_spans_metrics_and_log_lines_that_the_server_made(
    with_signoz: Deployment, signoz: InSigNoz
) -> None:
    assert with_signoz.outputs()["telemetryProfile"] == "signoz"
    held = converse(with_signoz)

    for attempt in eventually(60):
        with attempt:
            found = spans.find(spans.parse(signoz.received(Signal.TRACES)), trace_id=held.trace)
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
        host=EVERYWHERE,
        certificate=authority.issue(host_address),
    ) as server:
        yield server


@pytest.fixture(scope="module")
def datadog(with_signoz: Deployment, authority: Authority, host_address: str) -> Iterator[Datadog]:
    """Give Datadog's intake, which the collectors' network knows by its name."""
    name = f"otlp.{SITE}"
    networks = with_signoz.container("collector").attrs["NetworkSettings"]["Networks"]
    with (
        Datadog(api_key=KEYS["datadogApiKey"], host=EVERYWHERE, certificate=authority.issue(name)) as server,
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
    """Give the stack with both, brought up by `make up`, whose last step finds a marked span in ClickHouse."""
    with_signoz.set(clickhouseEndpoint=clickhouse.url(host_address), datadogSite=SITE)
    for key in ("clickhousePassword", "datadogApiKey"):
        with_signoz.set_secret(key, KEYS[key])
    up = with_signoz.make("up")
    assert "a marked span was sent and found" in up.output
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
            assert written.keys() <= there.keys(), "a line does not find its span"
            (counted,) = clickhouse.ask(
                "SELECT sum(Value) AS n FROM otel.otel_metrics_sum"
                " WHERE MetricName = {metric:String} AND Attributes['agent.id'] = {agent:String}",
                parameters={"metric": REQUESTS, "agent": held.agent},
            )
            assert counted["n"] == 1
            points = [one for one in datadog.points if f"agent.id:{held.agent}" in one.tags]
            assert [(one.kind, one.value) for one in points if one.metric == REQUESTS] == [("delta", 1)]


def test_the_server_trusts_clickhouse_too_when_it_reads_a_trace_back(
    production: Deployment, held: Conversation
) -> None:
    for attempt in eventually(60):
        with attempt:
            read = httpx.get(
                f"{production.outputs()['apiUrl']}/v1/runs/{held.run}/trace",
                headers={"Authorization": f"Bearer {KEYS['serverPassword']}"},
            )
            assert read.status_code == 200, read.text
            assert held.trace in read.text


def test_a_key_that_datadog_refuses_is_told_by_the_doctor_and_does_not_hold_up_clickhouse(
    production: Deployment, clickhouse: ClickHouse, datadog: Datadog
) -> None:
    datadog.api_key = "another key"
    held = converse(production)

    for attempt in eventually(60):
        with attempt:
            assert in_clickhouse(clickhouse, held.trace)
            told = production.make("doctor", check=False)
            assert "Datadog refuses user, password or key" in told.output
            assert "letta:datadogApiKey" in told.output
    assert {one.status for one in datadog.refusals} == {403}
    assert not in_datadog(datadog.spans, held.trace)
