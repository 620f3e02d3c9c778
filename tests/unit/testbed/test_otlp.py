"""The counted generator: it retries as an SDK does, and accounts for every number that it sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from testbed.otlp import generator as otlp
from testbed.otlp.generator import Generator
from testbed.otlp.items import RUN, SEQUENCE, SERVICES, Signal, ids

pytestmark = pytest.mark.unit

FAST = 1e9
Answer = Callable[[grpc.ServicerContext], bytes]
REQUESTS: dict[Signal, Any] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}


def accept(_: grpc.ServicerContext) -> bytes:
    return b""


def refuse(code: grpc.StatusCode, *, wait: float | None = None) -> Answer:
    def answer(context: grpc.ServicerContext) -> bytes:
        if wait is not None:
            detail = AnyMessage()
            detail.Pack(RetryInfo(retry_delay=Duration(nanos=int(wait * 1e9))))
            status = Status(code=code.value[0], details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, "as the test says")
        raise AssertionError

    return answer


@dataclass
class Receiver(grpc.GenericRpcHandler):
    """An OTLP receiver that gives the listed answers, then OK."""

    answers: list[Answer] = field(default_factory=list)
    calls: list[tuple[str, bytes]] = field(default_factory=list)
    port: int = 0

    def service(self, details: Any) -> Any:
        def call(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.calls.append((details.method, request))
            return (self.answers.pop(0) if self.answers else accept)(context)

        return grpc.unary_unary_rpc_method_handler(call)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    handler = Receiver()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler])
    handler.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield handler
    server.stop(None).wait()


@pytest.fixture
def generator(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Generator]:
    monkeypatch.setattr(otlp, "FIRST_WAIT", 0.001)
    with Generator(receiver.target, run="this run") as sender:
        yield sender


def items(signal: Signal, request: bytes) -> list[Any]:
    message: Any = REQUESTS[signal].FromString(request)
    match signal:
        case Signal.TRACES:
            return list(message.resource_spans[0].scope_spans[0].spans)
        case Signal.METRICS:
            return list(message.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points)
        case Signal.LOGS:
            return list(message.resource_logs[0].scope_logs[0].log_records)


@pytest.mark.parametrize("signal", Signal)
def test_each_item_carries_its_run_and_number(receiver: Receiver, generator: Generator, signal: Signal) -> None:
    report = generator.start(signal, count=25, rate=FAST, batch=10, padding=100).finish()

    sent = [item for _, request in receiver.calls for item in items(signal, request)]
    attributes = [{pair.key: pair.value for pair in item.attributes} for item in sent]
    assert [found[SEQUENCE].int_value for found in attributes] == list(range(25))
    assert {found[RUN].string_value for found in attributes} == {"this run"}
    assert [method for method, _ in receiver.calls] == [SERVICES[signal].method] * 3
    assert report.acknowledged == frozenset(range(25))
    assert (report.given_up, report.rejected) == (frozenset(), frozenset())
    assert report.answers == {"OK": 3}


def test_spans_have_the_ids_that_their_numbers_give_and_form_traces(
    receiver: Receiver, generator: Generator
) -> None:
    generator.start(Signal.TRACES, count=20, rate=FAST).finish()

    spans = items(Signal.TRACES, receiver.calls[0][1])
    for number, span in enumerate(spans):
        own = ids("this run", number)
        assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (
            own.trace_id, own.span_id, own.parent_id,
        )  # fmt: skip
        assert span.end_time_unix_nano > span.start_time_unix_nano
    assert len({span.trace_id for span in spans}) == 3
    assert len({span.trace_id[8:] for span in spans}) == 3
    assert len({span.span_id for span in spans}) == 20
    assert {span.parent_span_id for span in spans[1:8]} == {spans[0].span_id}
    assert ids("other run", 0).trace_id != ids("this run", 0).trace_id


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_batch_is_sent_again_until_it_is_acknowledged(
    receiver: Receiver, generator: Generator, code: grpc.StatusCode
) -> None:
    receiver.answers = [accept, refuse(code), refuse(code), accept]

    report = generator.start(Signal.LOGS, count=20, rate=FAST, batch=10).finish()

    assert report.acknowledged == frozenset(range(20))
    assert report.answers == {"OK": 2, code.name: 2}
    assert receiver.calls[1] == receiver.calls[2] == receiver.calls[3]


def test_the_wait_that_the_server_asks_for_is_respected(
    receiver: Receiver, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "FIRST_WAIT", 1000.0)
    receiver.answers = [refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, wait=0.002)]

    assert generator.start(Signal.LOGS, count=1, rate=FAST).finish().acknowledged == {0}


def test_a_batch_without_a_final_answer_is_given_up_and_the_rest_sent(
    receiver: Receiver, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than patience lasts; without any patience the answers themselves may come too late.
    monkeypatch.setattr(otlp, "FIRST_WAIT", 1000.0)
    receiver.answers = [refuse(grpc.StatusCode.UNAVAILABLE)]

    report = generator.start(Signal.LOGS, count=20, rate=FAST, batch=10).finish()

    assert report.given_up == frozenset(range(10))
    assert report.acknowledged == frozenset(range(10, 20))


def test_a_permanently_rejected_batch_is_not_sent_again(receiver: Receiver, generator: Generator) -> None:
    partly = SERVICES[Signal.TRACES].response()
    partly.partial_success.rejected_spans = 1
    receiver.answers = [refuse(grpc.StatusCode.UNAUTHENTICATED), lambda _: bytes(partly.SerializeToString())]

    report = generator.start(Signal.TRACES, count=30, rate=FAST, batch=10).finish()

    assert report.rejected == frozenset(range(20))
    assert report.acknowledged == frozenset(range(20, 30))
    assert sum(report.answers.values()) == 3


def test_an_unreachable_receiver_is_retried_until_the_flow_is_over() -> None:
    with Generator("127.0.0.1:1", run="unreachable") as sender:
        report = sender.start(Signal.TRACES, count=10, rate=FAST, seconds=0.05).finish()

    assert report.given_up == frozenset(range(10))
    assert set(report.answers) <= {"UNAVAILABLE", "DEADLINE_EXCEEDED"}


def test_a_flow_ends_when_its_time_is_over_and_sends_nothing_more(generator: Generator) -> None:
    report = generator.start(Signal.LOGS, count=1000, batch=1, rate=100, seconds=0.05).finish()

    settled = report.acknowledged | report.given_up
    assert 0 < len(settled) < 1000
    assert settled == frozenset(range(len(settled)))


def test_a_flow_can_be_waited_for_and_stopped(generator: Generator) -> None:
    flow = generator.start(Signal.LOGS, count=1_000_000, batch=1, rate=1000, seconds=60)
    flow.wait_for(5)
    flow.stop()

    assert len(flow.finish().acknowledged) >= 5
    with pytest.raises(TimeoutError, match="of 1000000 items"):
        flow.wait_for(1_000_000)


@pytest.mark.parametrize("target", ["192.0.2.1:4317", "collector:4317", "example.invalid:4317", "0.0.0.0:4317"])
def test_it_sends_to_this_machine_only(target: str) -> None:
    with pytest.raises(ValueError, match="not on this machine"):
        Generator(target, run="x")


@pytest.mark.parametrize("bounds", [{"count": 2_000_001}, {"count": 0}, {"seconds": 1801.0}, {"rate": 0}])
def test_a_flow_without_bounds_is_refused(generator: Generator, bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at most"):
        generator.start(Signal.LOGS, **{"count": 1, "rate": 1.0, **bounds})
