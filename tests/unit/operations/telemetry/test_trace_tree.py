"""Reading spans as the collector writes them, and building trees of them."""

from __future__ import annotations

import json

import pytest

from operations.telemetry.trace_tree import Assembler, Span, build, duration, key_attributes, parse_line, walk

pytestmark = pytest.mark.unit

TRACE = "5b8efff798038103d269b633813fc60c"


def span(span_id: str, parent: str = "", start: int = 0, **changes: object) -> Span:
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


def line(*spans: dict[str, object]) -> str:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "letta"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]})


def raw(span_id: str, parent: str = "", **changes: object) -> dict[str, object]:
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
    (found,) = parse_line(line(raw("a", status={"code": 2, "message": "boom"}, attributes=attributes)))
    assert (found.service, found.milliseconds, found.failed, found.message) == ("letta", 250.0, True, "boom")
    assert found.attributes == {"http.status_code": "500", "retried": "true"}


@pytest.mark.parametrize("code", [2, "2", "STATUS_CODE_ERROR"])
def test_an_error_is_recognized_in_each_encoding(code: object) -> None:
    assert parse_line(line(raw("a", status={"code": code})))[0].failed


@pytest.mark.parametrize("parent", ["", "0000000000000000"])
def test_a_parent_of_zeroes_is_no_parent(parent: str) -> None:
    assert parse_line(line(raw("a", parent)))[0].parent_id == ""


@pytest.mark.parametrize(
    "line", ["", "{", '{"resourceMetrics": []}', "[]", '{"resourceSpans": [{"scopeSpans": 3}]}']
)
def test_lines_that_hold_no_spans_are_passed_over(line: str) -> None:
    assert parse_line(line) == ()


def test_children_hang_below_their_parents_in_order_of_start() -> None:
    trace = build([span("c", "a", 30), span("d", "b", 25), span("b", "a", 20), span("a", start=10)])
    assert [(node.span.span_id, depth) for node, depth in walk(trace)] == [("a", 0), ("b", 1), ("d", 2), ("c", 1)]


def test_a_span_whose_parent_is_missing_is_shown_as_an_orphan() -> None:
    trace = build([span("a"), span("x", "gone", 5)])
    assert [(node.span.span_id, node.orphan) for node in trace.roots] == [("a", False), ("x", True)]


def test_spans_that_name_each_other_as_parent_are_shown_once_each() -> None:
    trace = build([span("a", "b"), span("b", "a"), span("c", "c")])
    assert sorted(node.span.span_id for node, _ in walk(trace)) == ["a", "b", "c"]


def test_a_span_that_was_delivered_twice_is_shown_once() -> None:
    assert build([span("a"), span("a")]).size == 1


@pytest.mark.parametrize(("milliseconds", "words"), [(0.25, "250 µs"), (12.3, "12 ms"), (1500, "1.50 s")])
def test_durations_are_written_in_the_unit_that_fits(milliseconds: float, words: str) -> None:
    assert duration(milliseconds) == words


def test_long_attributes_are_cut_and_stay_on_one_line() -> None:
    words = key_attributes(span("a", attributes={"db.statement": "SELECT *\n" + "x" * 200}))
    assert len(words) < 90
    assert "\n" not in words


def test_a_trace_is_complete_when_its_root_has_arrived_and_nothing_more_for_a_while() -> None:
    assembler = Assembler()
    assembler.add([span("b", "a")], now=0)
    assert assembler.ready(now=5) == ()
    assembler.add([span("a")], now=6)
    assert assembler.ready(now=7) == ()
    (trace,) = assembler.ready(now=8)
    assert trace.size == 2
    assert assembler.ready(now=100) == ()


def test_a_trace_whose_root_never_arrives_is_complete_in_the_end() -> None:
    assembler = Assembler()
    assembler.add([span("b", "a")], now=0)
    assert len(assembler.ready(now=10)) == 1
