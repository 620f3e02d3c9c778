"""Showing traces: as trees, the last ones, and those that come."""

from __future__ import annotations

import pytest

import catalogue
from operations.console.errors import OperationError
from operations.engine.protocol import Image, Volume
from operations.stack.state import StackState
from operations.stack.target import Target
from operations.telemetry.trace_tree import build
from operations.verbs.traces import render, settled, traces
from testbed.fake_engine import Chunks, FakeEngine
from tests.unit.operations.telemetry.test_trace_tree import line, raw, span

pytestmark = pytest.mark.unit


def test_a_span_whose_parent_is_missing_is_said_to_be_an_orphan() -> None:
    trace = build([span("a"), span("x", "gone", 5)])
    assert any("its parent was not recorded" in text for text, _ in render(trace))


def test_a_tree_is_drawn_with_durations_errors_and_telling_attributes() -> None:
    failed = span("c", "a", 30, failed=True, message="no such agent", attributes={"http.route": "/v1/agents"})
    drawn = [text for text, _ in render(build([span("a"), span("b", "a", 10), failed]))][1:]
    assert drawn == [
        "span a  5 ms",
        "├─ span b  5 ms",
        "└─ span c  5 ms  ERROR no such agent  http.route=/v1/agents",
    ]


def test_what_was_shown_already_is_not_shown_again_when_following() -> None:
    old, new = line(raw("a")), line(raw("b", traceId="ff"))
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
        outputs=list(chunks),
    )


def test_without_a_traces_volume_none_is_made_and_the_way_is_said() -> None:
    with pytest.raises(OperationError) as raised:
        traces(_Target(FakeEngine()), follow=False, last=10, errors_only=False)
    assert "make up STACK=dev" in str(raised.value)


def test_only_the_last_traces_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    recorded = [line(raw("a", traceId=f"t{number}", startTimeUnixNano=str(number))) for number in range(1, 6)]
    engine = _recording(Chunks(["\n".join(recorded).encode()]))
    traces(_Target(engine), follow=False, last=2, errors_only=False)
    shown = capsys.readouterr().out
    assert "trace t4" in shown
    assert "trace t5" in shown
    assert "trace t3" not in shown


def test_with_errors_only_traces_without_an_error_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = line(raw("a", traceId="good")), line(raw("b", traceId="bad", status={"code": 2}))
    traces(_Target(_recording(Chunks([f"{good}\n{bad}\n".encode()]))), follow=False, last=10, errors_only=True)
    shown = capsys.readouterr().out
    assert "trace bad" in shown
    assert "trace good" not in shown
