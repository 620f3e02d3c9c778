"""Datadog's intake for tests: what it accepts, what it refuses, and the records that it returns."""

from __future__ import annotations

import gzip
import json
import ssl
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgpack  # type: ignore[import-untyped]
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)

from testbed.certificates import Authority
from testbed.datadog.agent_payloads import message
from testbed.datadog.records import Point, StatsGroup
from testbed.datadog.server import INTAKES, JSON, MSGPACK, PROTOBUF, Datadog
from testbed.otlp.items import SERVICES, Signal, ids

pytestmark = pytest.mark.unit

KEY = "0123456789abcdef0123456789abcdef"
RUN = "this run"
NUMBERS = range(20)
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain HTTP: loading the machine's CA bundle would take most of a test's time."""
IDS = [ids(RUN, number) for number in NUMBERS]


@pytest.fixture
def datadog() -> Iterator[Datadog]:
    with Datadog(api_key=KEY) as server:
        yield server


@pytest.fixture
def http(datadog: Datadog) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=datadog.url(), headers={"DD-API-KEY": KEY}, verify=NO_TLS) as client:
        yield client


def post(http: httpx.Client, path: str, body: bytes, kind: str = PROTOBUF, **headers: str) -> httpx.Response:
    return http.post(path, content=body, headers={"Content-Type": kind, **headers})


def agent_payload() -> bytes:
    """Return the generator's spans as the agent would send them: 64-bit ids, the full trace id as a tag."""
    payload = message("AgentPayload")()
    chunk = payload.tracerPayloads.add().chunks.add()
    for number in NUMBERS:
        own = IDS[number]
        span = chunk.spans.add(
            traceID=int(own.trace_id[16:], 16),
            spanID=int(own.span_id, 16),
            parentID=int(own.parent_id or "0", 16),
        )
        span.meta.add(key="otel.trace_id", value=own.trace_id)
        span.metrics.add(key="sequence", value=number)
    return bytes(payload.SerializeToString())


def otlp(signal: Signal) -> bytes:
    return bytes(SERVICES[signal].request(RUN, NUMBERS, "").SerializeToString())


def test_spans_of_the_agent_have_the_ids_that_were_sent(datadog: Datadog, http: httpx.Client) -> None:
    body = gzip.compress(agent_payload())

    assert post(http, "/api/v0.2/traces", body, **{"Content-Encoding": "gzip"}).status_code == 200

    assert [(span.otel_trace_id, span.span_id, span.parent_id) for span in datadog.spans] == [
        (own.trace_id, own.span_id, own.parent_id) for own in IDS
    ]
    assert [span.trace_id for span in datadog.spans] == [own.trace_id[16:] for own in IDS]
    assert [span.tags["sequence"] for span in datadog.spans] == list(NUMBERS)


def test_the_upper_half_of_a_traces_id_is_found_in_any_span_of_its_chunk(
    datadog: Datadog, http: httpx.Client
) -> None:
    payload = message("AgentPayload")()
    chunk = payload.tracerPayloads.add().chunks.add()
    chunk.spans.add(traceID=1, spanID=2)
    chunk.spans.add(traceID=1, spanID=3).meta.add(key="_dd.p.tid", value="00000000000000ff")

    post(http, "/api/v0.2/traces", payload.SerializeToString())

    assert {span.otel_trace_id for span in datadog.spans} == {"00000000000000ff0000000000000001"}


def test_statistics_are_read_by_bucket_and_group(datadog: Datadog, http: httpx.Client) -> None:
    group = {"Service": "letta", "Name": "step", "Resource": "r", "Hits": 5, "TopLevelHits": 1, "Errors": 2}
    buckets = [{"Start": 10, "Duration": 10, "Stats": [{**group, "OkSummary": b"\xff"}]}]
    body = msgpack.packb({"AgentHostname": "h", "Stats": [{"Env": "dev", "Stats": buckets}, {"Stats": None}]})

    assert post(http, "/api/v0.2/stats", body, MSGPACK).status_code == 200

    assert datadog.deliveries[0].records == (StatsGroup(service="letta", name="step", hits=5),)


def test_metrics_are_read_in_each_format(datadog: Datadog, http: httpx.Client) -> None:
    first = {"metric": "m", "points": [[1, 2.5]], "tags": ["a:b"], "type": "count"}
    second = {"metric": "m", "points": [{"timestamp": 1, "value": 2.5}], "tags": ["a:b"], "type": 1}
    third = message("MetricPayload")()
    third.series.add(metric="m", tags=["a:b"], type=1).points.add(value=2.5)
    fourth = message("SketchPayload")()
    fourth.sketches.add(metric="d").dogsketches.add(cnt=7)

    answers = [
        post(http, "/api/v1/series", json.dumps({"series": [first]}).encode(), JSON),
        post(http, "/api/v2/series", json.dumps({"series": [second]}).encode(), JSON),
        post(http, "/api/v2/series", zlib.compress(third.SerializeToString()), **{"Content-Encoding": "deflate"}),
        post(http, "/api/beta/sketches", fourth.SerializeToString()),
    ]

    assert [answer.status_code for answer in answers] == [202] * 4
    assert datadog.points == (
        *(Point(metric="m", kind="count", value=2.5, tags=("a:b",)),) * 3,
        Point(metric="d", kind="distribution", value=7, tags=()),
    )


def test_logs_keep_their_trace_however_they_are_wrapped(datadog: Datadog, http: httpx.Client) -> None:
    ids_ = {"dd.trace_id": str(0x1F), "dd.span_id": str(0x2F), "otel.trace_id": "0" * 30 + "1f"}
    plain = {"message": "plain", "service": "letta", **ids_}
    wrapped = {"message": json.dumps({"message": "inner", **ids_}), "service": "letta"}

    post(http, "/api/v2/logs", json.dumps([plain, wrapped, {"message": '{"no": 1}'}]).encode(), JSON)

    assert [log.message for log in datadog.logs] == ["plain", "inner", '{"no": 1}']
    assert [log.span_id for log in datadog.logs] == ["000000000000002f"] * 2 + [""]
    assert [log.trace_id for log in datadog.logs[:2]] == ["000000000000001f"] * 2
    assert datadog.logs[0].otel_trace_id == ids_["otel.trace_id"]


def test_otlp_gives_the_same_records(datadog: Datadog, http: httpx.Client) -> None:
    for signal in Signal:
        assert post(http, f"/v1/{signal}", otlp(signal)).status_code == 200

    assert [(span.otel_trace_id, span.span_id, span.parent_id) for span in datadog.spans] == [
        (own.trace_id, own.span_id, own.parent_id) for own in IDS
    ]
    assert [(log.otel_trace_id, log.span_id) for log in datadog.logs] == [
        (own.trace_id, own.span_id) for own in IDS
    ]
    assert [point.value for point in datadog.points] == list(NUMBERS)


def test_sums_are_distinguished_by_their_temporality(datadog: Datadog, http: httpx.Client) -> None:
    request = SERVICES[Signal.METRICS].request(RUN, range(1), "")
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    delta, cumulative = (
        AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA,
        AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE,
    )
    metrics.append(
        Metric(name="s", sum=Sum(aggregation_temporality=cumulative, data_points=[NumberDataPoint(as_int=3)]))
    )
    metrics.append(
        Metric(
            name="h", histogram=Histogram(aggregation_temporality=delta, data_points=[HistogramDataPoint(count=4)])
        )
    )

    post(http, "/v1/metrics", request.SerializeToString())

    assert [(point.kind, point.value) for point in datadog.points] == [
        ("gauge", 0),
        ("cumulative", 3),
        ("delta", 4),
    ]


def test_attributes_of_every_type_are_kept(datadog: Datadog, http: httpx.Client) -> None:
    request = SERVICES[Signal.TRACES].request(RUN, range(1), "")
    (span,) = request.resource_spans[0].scope_spans[0].spans
    array = ArrayValue(values=[AnyValue(int_value=1), AnyValue(string_value="x")])
    span.attributes.append(KeyValue(key="list", value=AnyValue(array_value=array)))
    span.attributes.append(KeyValue(key="nothing", value=AnyValue()))

    post(http, "/v1/traces", request.SerializeToString())

    assert datadog.spans[0].tags["list"] == [1, "x"]
    assert datadog.spans[0].tags["nothing"] is None


@pytest.mark.parametrize("key", [{}, {"DD-API-KEY": "wrong"}, {"DD-API-KEY": f"{KEY}x"}])
def test_a_wrong_key_is_forbidden_everywhere(datadog: Datadog, key: dict[str, str]) -> None:
    with httpx.Client(base_url=datadog.url(), headers=key, verify=NO_TLS) as http:
        for path in INTAKES:
            answer = http.post(path, content=b"")
            assert (answer.status_code, answer.json()) == (403, {"errors": ["Forbidden"]})
        assert http.get("/api/v1/validate").status_code == 403

    assert datadog.deliveries == ()
    assert {refusal.status for refusal in datadog.refusals} == {403}


def test_the_right_key_is_valid(http: httpx.Client) -> None:
    assert http.get("/api/v1/validate").json() == {"valid": True}


@pytest.mark.parametrize(
    ("path", "request_", "status"),
    [
        ("/api/v9/traces", {"content": b"", "headers": {}}, 404),
        ("/v1/traces", {"content": b"{}", "headers": {"Content-Type": JSON}}, 415),
        ("/v1/traces", {"content": b"\xff\xff", "headers": {"Content-Type": PROTOBUF}}, 400),
        (
            "/v1/traces",
            {"content": b"not gzip", "headers": {"Content-Type": PROTOBUF, "Content-Encoding": "gzip"}},
            400,
        ),
        ("/v1/traces", {"content": b"", "headers": {"Content-Type": PROTOBUF, "Content-Encoding": "br"}}, 415),
        ("/api/v0.2/traces", {"content": b"\xff\xff", "headers": {"Content-Type": PROTOBUF}}, 400),
        ("/api/v0.2/traces", {"content": b"\0" * 3_200_001, "headers": {"Content-Type": PROTOBUF}}, 413),
        ("/api/v0.2/stats", {"content": b"\xc1", "headers": {"Content-Type": MSGPACK}}, 400),
        ("/api/v0.2/stats", {"content": msgpack.packb([1]), "headers": {"Content-Type": MSGPACK}}, 400),
        ("/api/v2/series", {"content": b'{"series": [{}]}', "headers": {"Content-Type": JSON}}, 400),
        ("/api/v2/logs", {"content": b"[1]", "headers": {"Content-Type": JSON}}, 400),
        ("/api/v2/logs", {"content": b"[", "headers": {"Content-Type": JSON}}, 400),
    ],
)
def test_a_payload_that_it_cannot_read_is_refused_with_the_reason(
    datadog: Datadog, http: httpx.Client, path: str, request_: dict[str, Any], status: int
) -> None:
    assert http.post(path, **request_).status_code == status

    assert datadog.deliveries == ()
    assert [(refusal.path, refusal.status) for refusal in datadog.refusals] == [(path, status)]


def test_an_intake_that_is_away_keeps_nothing(datadog: Datadog, http: httpx.Client) -> None:
    with datadog.away(), pytest.raises(httpx.TransportError):
        post(http, "/v1/traces", otlp(Signal.TRACES))
    assert datadog.spans == ()

    assert post(http, "/v1/traces", otlp(Signal.TRACES)).status_code == 200
    datadog.wait_until(lambda server: len(server.spans) == len(NUMBERS))
    with pytest.raises(TimeoutError):
        datadog.wait_until(lambda server: len(server.spans) > len(NUMBERS), seconds=0.01)


def test_no_recorded_request_has_the_key(datadog: Datadog, http: httpx.Client) -> None:
    post(http, "/v1/traces", otlp(Signal.TRACES))

    assert KEY not in repr(datadog.deliveries)
    assert datadog.deliveries[0].headers["content-type"] == PROTOBUF


def test_it_serves_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Datadog(api_key=KEY, certificate=authority.issue("127.0.0.1")) as server:
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url())
        trusted = ssl.create_default_context(cafile=str(authority.certificate))
        answer = httpx.get(f"{server.url()}/api/v1/validate", headers={"DD-API-KEY": KEY}, verify=trusted)

    assert answer.json() == {"valid": True}
