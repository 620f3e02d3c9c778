"""How the benchmarks find out where an update's time goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cold, engine_events
from benchmarks.timeline import Recording, Span, critical_path, dependencies, label, spans
from catalogue import SERVICE_LABEL
from operations.stack.event_log import EventFile

pytestmark = pytest.mark.unit


def _pre(urn: str, *, custom: bool = True) -> dict[str, Any]:
    return {"resourcePreEvent": {"metadata": {"urn": urn, "op": "create", "new": {"custom": custom}}}}


def _done(urn: str) -> dict[str, Any]:
    return {"resOutputsEvent": {"metadata": {"urn": urn, "op": "create"}}}


def test_a_resources_span_is_from_its_first_event_to_its_outputs() -> None:
    events = [(1.0, _pre("a")), (1.5, _pre("b", custom=False)), (2.0, {"stdoutEvent": {}}), (4.0, _done("a"))]
    assert spans([*events, (5.0, _done("b"))]) == {"a": Span(start=1.0, end=4.0)}


def test_a_resource_without_outputs_has_no_span() -> None:
    assert spans([(1.0, _pre("a"))]) == {}


def test_the_critical_path_goes_back_over_the_last_dependency() -> None:
    worked = {
        "provider": Span(start=1.0, end=1.5),
        "network": Span(start=1.5, end=2.0),
        "postgres": Span(start=2.0, end=6.0),
        "redis": Span(start=2.0, end=3.0),
        "server": Span(start=6.5, end=20.0),
        "collector": Span(start=2.0, end=5.0),
    }
    needed = {
        "network": frozenset({"provider"}),
        "postgres": frozenset({"network"}),
        "redis": frozenset({"network"}),
        "server": frozenset({"redis", "postgres", "network", "a component"}),
    }
    path = critical_path(worked, needed)
    assert [step.urn for step in path] == ["provider", "network", "postgres", "server"]
    assert [step.waited for step in path] == [1.0, 0.0, 0.0, 0.5]
    assert sum(step.waited + step.span.seconds for step in path) == 20.0


def test_without_resources_there_is_no_path() -> None:
    assert critical_path({}, {}) == ()


def test_what_a_resource_waits_for_is_in_the_state() -> None:
    exported = {
        "deployment": {
            "resources": [
                {
                    "urn": "urn:a",
                    "dependencies": ["urn:b"],
                    "provider": "urn:pulumi:x::p::pulumi:providers:d::e::1-2",
                },
                {"urn": "urn:b"},
            ]
        }
    }
    assert dependencies(exported) == {
        "urn:a": frozenset({"urn:b", "urn:pulumi:x::p::pulumi:providers:d::e"}),
        "urn:b": frozenset(),
    }


def test_a_resource_is_shown_by_its_kind_and_name() -> None:
    urn = "urn:pulumi:dev::letta::letta:p:Platform$docker:index/container:Container::letta-dev-server"
    assert label(urn) == "Container letta-dev-server"


def test_an_event_is_read_when_its_line_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    recording = Recording(file=EventFile(path))
    recording.take()
    with path.open("w") as file:
        file.write(json.dumps({"one": 1}) + '\n{"tw')
        file.flush()
        recording.take()
        assert [event for _, event in recording.events] == [{"one": 1}]
        file.write('o": 2}\n')
    recording.take()
    assert [event for _, event in recording.events] == [{"one": 1}, {"two": 2}]


def test_milestones_are_seconds_since_the_command_was_started() -> None:
    def event(action: str, at: float, service: str = "roles", **attributes: str) -> dict[str, Any]:
        labels = {SERVICE_LABEL: service} if service else {}
        return {"Action": action, "timeNano": int(at * 1e9), "Actor": {"Attributes": {**labels, **attributes}}}

    found = engine_events.milestones(
        [
            event("create", 101.0),
            event("start", 102.0),
            event("health_status: unhealthy", 102.5, "letta"),
            event("health_status: healthy", 103.0, "letta"),
            event("health_status: healthy", 109.0, "letta"),
            event("die", 104.0, exitCode="0"),
            event("die", 104.0, "redis", exitCode="137"),
            event("create", 105.0, ""),
        ],
        since=100.0,
    )
    assert found["roles"] == engine_events.Milestones(created=1.0, started=2.0, ready=4.0)
    assert found["letta"].ready == 3.0
    assert found["redis"].ready is None
    assert set(found) == {"roles", "letta", "redis"}


def test_the_breakdown_adds_up_to_the_total() -> None:
    worked = {"u::p::k:T::a": Span(start=2.0, end=2.1), "u::p::k:T::b": Span(start=3.0, end=9.0)}
    path = critical_path(worked, {"u::p::k:T::b": frozenset({"u::p::k:T::a"})})
    (_, _, table) = cold.tables(
        "2.35.1", [cold.Run(seconds=10.0, milestones={}, path=path, finished=9.0)], [_run()]
    )
    assert sum(float(seconds.split()[0]) for _, seconds in table.rows) == pytest.approx(10.0)
    assert [name for name, _ in table.rows] == [
        "(before the first step: Pulumi and the program start)",
        "(between two steps)",
        "T b",
        "(after the last step: Pulumi exits)",
        "(steps shorter than 0.3 s, together)",
    ]


def _run() -> cold.Run:
    return cold.Run(seconds=8.0, milestones={})
