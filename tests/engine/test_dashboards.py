"""The dashboards' queries, run by ClickHouse on tables that a real collector filled, return what was sent.

All expected numbers were calculated by hand from `record`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import otel
from otel.clickhouse import statements
from testbed import grafana
from testbed.clickhouse.server import ClickHouse
from testbed.collector import Collector, program
from testbed.otlp.letta_telemetry import ERROR, OK, Attributes, Telemetry, exception, trace_id
from testbed.ports import reserved

pytestmark = pytest.mark.engine

START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
TIMES = grafana.Times(start=START, end=START + timedelta(minutes=30), step=60)
PASSWORD = "pa$$word"
MESSAGES = "POST /v1/agents/{agent_id}/messages"


def record(here: Telemetry, elsewhere: Telemetry) -> None:
    """Record telemetry of one stack, and enough of another that mixing them up would be noticed."""
    # Minute 0: twenty quick requests of 10, 20, … 200 ms, and one for an agent that does not exist.
    for number in range(1, 21):
        here.request("GET /v1/agents/", at=number, ms=10 * number, status=200)
    here.request("GET /v1/agents/{agent_id}", at=30, ms=5, status=404, trace="missing")
    here.line("WARNING", "no such agent", at=30, trace="missing", logger="Letta.agents")

    # Minute 2: a turn with two steps, and a tool that fails once.
    root = here.request(MESSAGES, at=120, ms=3000, status=200, trace="turn")
    turn = {"llm_config.model": "gpt-4o-mini", "llm_config.model_endpoint_type": "openai"}
    here.span("time_to_first_token", trace="turn", parent=root, at=120.1, ms=2800, attributes=turn)
    tools = [("roll", 400, True), ("search", 100, False)]
    here.step(trace="turn", parent=root, at=120.2, llm_ms=600, tokens=(900, 30), tools=tools)
    here.step(trace="turn", parent=root, at=122, llm_ms=800, tokens=(1000, 50), tools=[("roll", 200, True)])
    here.count("count_user_message", 2, at=150)
    for tool, success, calls in (("roll", True, 2), ("search", False, 1)):
        called: Attributes = {"tool.name": tool, "tool.execution_success": success}
        here.count("count_tool_execution", calls, at=150, attributes=called)
    here.line("INFO", "Context token estimate: 1050", at=122.9, trace="turn", logger="Letta.agent")

    # Minute 5: a turn whose model cannot be reached. Its own span never ends.
    root = here.request(MESSAGES, at=300, ms=1500, status=500, trace="failed turn")
    here.span(
        "OpenAIClient.request_async",
        trace="failed turn",
        parent=root,
        at=300.5,
        ms=900,
        status=ERROR,
        message="LLMConnectionError: cannot connect",
        events=[(301, "exception", exception("LLMConnectionError: cannot connect"))],
    )
    here.span("OpenAIClient.request_async", trace="turn", parent=root, at=121, ms=600, status=OK)
    failure = {"exception.type": "LLMConnectionError", "exception.stacktrace": "Traceback: …"}
    here.line("ERROR", "It's the model", at=301, trace="failed turn", logger="Letta.llm", **failure)
    here.line("CRITICAL", "outside of any request", at=302, logger="Letta.server")

    # Minute 6: a request that ends without an answer.
    here.request("GET /v1/tools/", at=360, ms=40, status=None, trace="broken", error="ValueError: broken")

    # Another stack, slower and with more errors; and this one before the dashboard's time range.
    elsewhere.request("GET /v1/agents/", at=1, ms=60_000, status=500, trace="other", error="OSError: other")
    elsewhere.span("time_to_first_token", trace="other", at=1, ms=50_000, attributes={"llm_config.model": "other"})
    elsewhere.step(trace="other", parent="", at=1, llm_ms=9000, tokens=(7, 7), tools=[("other", 9, False)])
    elsewhere.span("OtherClient.stream_async", trace="other", at=1, ms=1, status=ERROR, message="other")
    elsewhere.count("count_user_message", 9, at=150)
    elsewhere.count("count_tool_execution", 9, at=150, attributes={"tool.name": "other"})
    elsewhere.line("ERROR", "other", at=1, trace="other")
    here.request("GET /v1/agents/", at=-90, ms=70_000, status=500, trace="before")


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    folder = tmp_path_factory.mktemp("dashboards")
    with ClickHouse(folder, password=PASSWORD) as server, reserved(2) as (otlp, health):
        for statement in statements(otel.ClickHouse(endpoint=server.url()), retention_days=30):
            server.ask(statement)
        configuration = {
            "extensions": {"health_check": {"endpoint": f"127.0.0.1:{health}"}},
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
            "exporters": {
                "clickhouse": {
                    "endpoint": server.url(),
                    "database": "otel",
                    "username": "default",
                    "password": PASSWORD.replace("$", "$$"),
                    "create_schema": False,
                }
            },
            "service": {
                "extensions": ["health_check"],
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {
                    signal: {"receivers": ["otlp"], "exporters": ["clickhouse"]}
                    for signal in ("traces", "metrics", "logs")
                },
            },
        }
        here = Telemetry(device="here", environment="prod", start=START)
        elsewhere = Telemetry(device="elsewhere", environment="staging", start=START)
        record(here, elsewhere)
        with Collector(program(), configuration, folder=folder, health=f"http://127.0.0.1:{health}"):
            for one in (here, elsewhere):
                one.send(f"http://127.0.0.1:{otlp}")
        # When it is stopped, it has stored everything.
        yield server


QUERIES = {
    (query.dashboard, query.title): query
    for dashboard in grafana.dashboards()
    for query in grafana.queries(dashboard)
    if query.plugin == grafana.CLICKHOUSE
}


def rows_of(clickhouse: ClickHouse, query: grafana.Query, **chosen: grafana.Value) -> list[tuple[Any, ...]]:
    """Return a query's rows, with times as seconds after START."""
    known: dict[str, grafana.Value] = {"database": "otel", "device_id": ("here",), "environment": (grafana.ALL,)}
    rows = clickhouse.ask(
        grafana.sql(query.text, times=TIMES, chosen={"search": "", "trace_id": "", **known, **chosen})
    )
    return [tuple(_seconds(value) if name == "time" else value for name, value in row.items()) for row in rows]


def _seconds(time: str) -> float:
    return (datetime.fromisoformat(time[:26]).replace(tzinfo=UTC) - START).total_seconds()


def service(title: str) -> tuple[str, str]:
    return "letta-service", title


def agents(title: str) -> tuple[str, str]:
    return "letta-agents", title


def logs(title: str) -> tuple[str, str]:
    return "letta-logs", title


def trace(title: str) -> tuple[str, str]:
    return "letta-trace", title


EXPECTED: dict[tuple[str, str], list[tuple[Any, ...]]] = {
    service("device_id"): [("elsewhere",), ("here",)],
    service("environment"): [("prod",), ("staging",)],
    service("Requests"): [
        (0, "GET /v1/agents/", pytest.approx(20 / 60)),
        (0, "GET /v1/agents/{agent_id}", pytest.approx(1 / 60)),
        (120, MESSAGES, pytest.approx(1 / 60)),
        (300, MESSAGES, pytest.approx(1 / 60)),
        (360, "GET /v1/tools/", pytest.approx(1 / 60)),
    ],
    # Of 5, 10, 20, … 200: the 11th; the 20th; 0.8 of the way from the 20th to the 21st.
    service("Latency"): [
        (0, 100, 190, pytest.approx(198)),
        (120, 3000, 3000, 3000),
        (300, 1500, 1500, 1500),
        (360, 40, 40, 40),
    ],
    service("Failed requests of each route"): [
        (0, "GET /v1/agents/", 0),
        (0, "GET /v1/agents/{agent_id}", 0),
        (120, MESSAGES, 0),
        (300, MESSAGES, 100),
        (360, "GET /v1/tools/", 100),
    ],
    # Of 10, 20, … 200: half way from the 10th to the 11th; 0.05 of the way from the 19th to the 20th; 0.81 of it.
    service("Routes"): [
        ("GET /v1/agents/", 20, 105, pytest.approx(190.5), pytest.approx(198.1), 0, 0),
        (MESSAGES, 2, 2250, pytest.approx(2925), pytest.approx(2985), 0, 1),
        ("GET /v1/agents/{agent_id}", 1, 5, 5, 5, 1, 0),
        ("GET /v1/tools/", 1, 40, 40, 40, 0, 1),
    ],
    service("Failed requests"): [
        (360, "GET /v1/tools/", "", "ValueError: broken", trace_id("broken")),
        (300, MESSAGES, "500", "LLMConnectionError: cannot connect", trace_id("failed turn")),
    ],
    agents("device_id"): [("elsewhere",), ("here",)],
    agents("environment"): [("prod",), ("staging",)],
    agents("Messages from users"): [(120, 2)],
    agents("Turns"): [(120, "gpt-4o-mini", 2800, 2800)],
    agents("Calls to models"): [(120, "gpt-4o-mini", 2, 700, pytest.approx(790))],
    agents("Tokens"): [(120, "gpt-4o-mini", 1900, 80)],
    agents("Tool calls"): [(120, "roll", 2, 0), (120, "search", 1, 1)],
    agents("Tools"): [("roll", 2, 0, 300, pytest.approx(390), ""), ("search", 1, 1, 100, 100, trace_id("turn"))],
    agents("Failed calls to models"): [
        (300.5, "OpenAIClient.request_async", "LLMConnectionError: cannot connect", trace_id("failed turn"))
    ],
    logs("device_id"): [("elsewhere",), ("here",)],
    logs("environment"): [("prod",), ("staging",)],
    logs("Log lines by severity"): [(0, "warning", 1), (120, "info", 1), (300, "error", 1), (300, "fatal", 1)],
    logs("Errors"): [
        (302, "fatal", "Letta.server", "outside of any request", "", ""),
        (301, "error", "Letta.llm", "It's the model", "LLMConnectionError", trace_id("failed turn")),
    ],
    logs("Lines"): [
        (302, "fatal", "Letta.server", "outside of any request", ""),
        (301, "error", "Letta.llm", "It's the model", trace_id("failed turn")),
        (122.9, "info", "Letta.agent", "Context token estimate: 1050", trace_id("turn")),
        (30, "warning", "Letta.agents", "no such agent", trace_id("missing")),
    ],
    trace("Log lines of the trace"): [],
}
ELSEWHERE = {service("Slowest requests"), trace("Trace")}
"""Queries that have their own tests below."""


def test_each_query_has_an_expected_result() -> None:
    assert QUERIES.keys() == EXPECTED.keys() | ELSEWHERE


@pytest.mark.parametrize("key", EXPECTED, ids=": ".join)
def test_a_query_returns_what_happened_on_the_chosen_stack(clickhouse: ClickHouse, key: tuple[str, str]) -> None:
    assert rows_of(clickhouse, QUERIES[key]) == EXPECTED[key]


def test_the_slowest_requests_come_first_with_their_traces(clickhouse: ClickHouse) -> None:
    rows = rows_of(clickhouse, QUERIES[service("Slowest requests")])

    assert len(rows) == 24
    assert rows[:3] == [
        (120, MESSAGES, 3000, "200", trace_id("turn")),
        (300, MESSAGES, 1500, "500", trace_id("failed turn")),
        (20, "GET /v1/agents/", 200, "200", trace_id("here GET /v1/agents/ 20 200")),
    ]


def test_all_stacks_are_shown_when_all_are_chosen(clickhouse: ClickHouse) -> None:
    rows = rows_of(clickhouse, QUERIES[service("Slowest requests")], device_id=(grafana.ALL,))

    assert rows[0] == (1, "GET /v1/agents/", 60_000, "500", trace_id("other"))
    assert len(rows) == 25


def test_several_stacks_can_be_chosen_together(clickhouse: ClickHouse) -> None:
    assert len(rows_of(clickhouse, QUERIES[service("Slowest requests")], device_id=("here", "elsewhere"))) == 25


def test_only_the_chosen_environment_is_shown(clickhouse: ClickHouse) -> None:
    for key in (service("Slowest requests"), agents("Turns"), agents("Tool calls"), logs("Lines")):
        chosen = {"device_id": (grafana.ALL,), "environment": ("staging",)}
        assert len(rows_of(clickhouse, QUERIES[key], **chosen)) == 1, key


def test_log_lines_can_be_searched_with_quotes_and_in_any_case(clickhouse: ClickHouse) -> None:
    rows = rows_of(clickhouse, QUERIES[logs("Lines")], search="it's THE")

    assert [row[3] for row in rows] == ["It's the model"]


def test_a_trace_shows_its_spans_with_their_parents_and_its_log_lines(clickhouse: ClickHouse) -> None:
    chosen = {"trace_id": trace_id("failed turn")}
    spans = clickhouse.ask(
        grafana.sql(QUERIES[trace("Trace")].text, times=TIMES, chosen={"database": "otel", **chosen})
    )
    root, call = spans

    assert (root["operationName"], root["parentSpanID"], root["duration"]) == (MESSAGES, "", 1500)
    assert (call["operationName"], call["statusCode"]) == ("OpenAIClient.request_async", 2)
    assert call["parentSpanID"] == root["spanID"]
    assert root["startTime"] == pytest.approx((START.timestamp() + 300) * 1000)
    assert {"key": "http.status_code", "value": "500"} in root["tags"]
    assert {"key": "device.id", "value": "here"} in root["serviceTags"]
    lines = rows_of(clickhouse, QUERIES[trace("Log lines of the trace")], **chosen)
    assert [line[1:5] for line in lines] == [("error", "Letta.llm", "It's the model", "Traceback: …")]
