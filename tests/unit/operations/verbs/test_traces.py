"""Traces: reading what the collector writes, building trees, following a stream."""

from __future__ import annotations

import json

import pytest

import catalogue
from operations.console.errors import OperationError
from operations.engine.protocol import Image, Volume
from operations.stack.state import StackState
from operations.stack.target import Target
from operations.telemetry.trace_tree import Assembler, Span, build, duration, key_attributes, parse_line, walk
from operations.verbs.traces import lines, render, settled, traces
from tests.unit.operations.engine.test_engine import Chunks, FakeEngine

pytestmark = pytest.mark.unit

TRACE = "5b8efff798038103d269b633813fc60c"


def _span(span_id: str, parent: str = "", start: int = 0, **changes: object) -> Span:
    facts: dict[str, object] = {
        "trace_id": TRACE,
        "span_id": span_id,
        "parent_id": parent,
        "name": f"span {span_id}",
        "service": "letta",
        "start": start,
        "end": start + 5_000_000,
        "failed": False,
        "message": "",
        "attributes": {},
    }
    return Span(**{**facts, **changes})  # type: ignore[arg-type]


def _line(*spans: dict[str, object]) -> str:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "letta"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]})


def _raw(span_id: str, parent: str = "", **changes: object) -> dict[str, object]:
    return {
        "traceId": TRACE,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": f"span {span_id}",
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000000250000000",
        **changes,
    }


def test_a_line_is_read_with_resource_attributes_times_and_status() -> None:
    attributes = [
        {"key": "http.status_code", "value": {"intValue": "500"}},
        {"key": "retried", "value": {"boolValue": True}},
    ]
    (span,) = parse_line(_line(_raw("a", status={"code": 2, "message": "boom"}, attributes=attributes)))
    assert (span.service, span.milliseconds, span.failed, span.message) == ("letta", 250.0, True, "boom")
    assert span.attributes == {"http.status_code": "500", "retried": "true"}


@pytest.mark.parametrize("code", [2, "2", "STATUS_CODE_ERROR"])
def test_an_error_is_seen_in_each_way_it_is_written(code: object) -> None:
    assert parse_line(_line(_raw("a", status={"code": code})))[0].failed


@pytest.mark.parametrize("parent", ["", "0000000000000000"])
def test_a_parent_of_zeroes_is_no_parent(parent: str) -> None:
    assert parse_line(_line(_raw("a", parent)))[0].parent_id == ""


@pytest.mark.parametrize(
    "line", ["", "{", '{"resourceMetrics": []}', "[]", '{"resourceSpans": [{"scopeSpans": 3}]}']
)
def test_lines_that_hold_no_spans_are_passed_over(line: str) -> None:
    assert parse_line(line) == ()


def test_children_hang_below_their_parents_in_order_of_start() -> None:
    trace = build([_span("c", "a", 30), _span("d", "b", 25), _span("b", "a", 20), _span("a", start=10)])
    assert [(node.span.span_id, depth) for node, depth in walk(trace)] == [("a", 0), ("b", 1), ("d", 2), ("c", 1)]


def test_a_span_whose_parent_is_missing_is_shown_as_an_orphan() -> None:
    trace = build([_span("a"), _span("x", "gone", 5)])
    assert [(node.span.span_id, node.orphan) for node in trace.roots] == [("a", False), ("x", True)]
    assert any("its parent was not recorded" in text for text, _ in render(trace))


def test_spans_that_name_each_other_as_parent_are_shown_once_each() -> None:
    trace = build([_span("a", "b"), _span("b", "a"), _span("c", "c")])
    assert sorted(node.span.span_id for node, _ in walk(trace)) == ["a", "b", "c"]


def test_a_span_that_came_twice_is_shown_once() -> None:
    assert build([_span("a"), _span("a")]).size == 1


def test_a_tree_is_drawn_with_durations_errors_and_telling_attributes() -> None:
    failed = _span("c", "a", 30, failed=True, message="no such agent", attributes={"http.route": "/v1/agents"})
    drawn = [text for text, _ in render(build([_span("a"), _span("b", "a", 10), failed]))][1:]
    assert drawn == [
        "span a  5 ms",
        "├─ span b  5 ms",
        "└─ span c  5 ms  ERROR no such agent  http.route=/v1/agents",
    ]


@pytest.mark.parametrize(("milliseconds", "words"), [(0.25, "250 µs"), (12.3, "12 ms"), (1500, "1.50 s")])
def test_durations_are_written_in_the_unit_that_fits(milliseconds: float, words: str) -> None:
    assert duration(milliseconds) == words


def test_long_attributes_are_cut_and_stay_on_one_line() -> None:
    words = key_attributes(_span("a", attributes={"db.statement": "SELECT *\n" + "x" * 200}))
    assert len(words) < 90
    assert "\n" not in words


def test_a_trace_is_shown_once_its_root_has_come_and_nothing_more_for_a_while() -> None:
    assembler = Assembler(settle_seconds=2, give_up_seconds=10)
    assembler.add([_span("b", "a")], now=0)
    assert assembler.ready(now=5) == ()
    assembler.add([_span("a")], now=6)
    assert assembler.ready(now=7) == ()
    (trace,) = assembler.ready(now=8)
    assert trace.size == 2
    assert assembler.ready(now=100) == ()


def test_a_trace_whose_root_never_comes_is_shown_in_the_end() -> None:
    assembler = Assembler(settle_seconds=2, give_up_seconds=10)
    assembler.add([_span("b", "a")], now=0)
    assert len(assembler.ready(now=10)) == 1


def test_lines_are_put_together_from_chunks_that_break_anywhere() -> None:
    text = 'ä{"a": 1}\n{"b": 2}\nrest'.encode()
    assert list(lines([text[:1], text[1:7], text[7:]])) == ['ä{"a": 1}', '{"b": 2}', "rest"]


def test_what_was_shown_already_is_not_shown_again_when_following() -> None:
    old, new = _line(_raw("a")), _line(_raw("b", traceId="ff"))
    stream = Chunks([f"{old}\n{new}\n".encode()])
    shown = list(settled(stream, known={old}))
    assert [trace.trace_id for trace in shown] == ["ff"]
    assert stream.closed


class _Target(Target):
    """A target whose engine is a fake."""

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__(stack="dev", environment={})
        object.__setattr__(self, "_engine", engine)

    def state(self) -> StackState:
        return StackState({})

    def engine(self) -> FakeEngine:
        engine: FakeEngine = self._engine  # type: ignore[attr-defined]
        return engine


def _recording(*chunks: Chunks) -> FakeEngine:
    return FakeEngine(
        all_volumes=[Volume(name="letta-dev-traces", stack="dev", stack_id="x", service="data")],
        all_images=[Image(id="i", tags=(catalogue.DEBIAN_IMAGE,), size=1, ours=True)],
        files=list(chunks),
    )


def test_without_a_traces_volume_none_is_made_and_the_way_is_said() -> None:
    with pytest.raises(OperationError) as raised:
        traces(_Target(FakeEngine()), follow=False, last=10, errors_only=False)
    assert "make up STACK=dev" in str(raised.value)


def test_only_the_last_traces_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    recorded = [_line(_raw("a", traceId=f"t{number}", startTimeUnixNano=str(number))) for number in range(1, 6)]
    engine = _recording(Chunks(["\n".join(recorded).encode()]))
    traces(_Target(engine), follow=False, last=2, errors_only=False)
    shown = capsys.readouterr().out
    assert "trace t4" in shown
    assert "trace t5" in shown
    assert "trace t3" not in shown


def test_with_errors_only_traces_without_an_error_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = _line(_raw("a", traceId="good")), _line(_raw("b", traceId="bad", status={"code": 2}))
    traces(_Target(_recording(Chunks([f"{good}\n{bad}\n".encode()]))), follow=False, last=10, errors_only=True)
    shown = capsys.readouterr().out
    assert "trace bad" in shown
    assert "trace good" not in shown
