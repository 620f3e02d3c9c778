"""What Grafana relies on in the dashboards' files; tests/engine/test_dashboards.py runs their queries."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from otel.clickhouse import TABLES
from testbed import grafana

pytestmark = pytest.mark.unit

DASHBOARDS = {dashboard["uid"]: dashboard for dashboard in grafana.dashboards()}
each = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS.keys())


def test_addresses_of_dashboards_stay_what_links_to_them_say() -> None:
    assert [dashboard["uid"] for dashboard in grafana.dashboards()] == [
        "letta-agents",
        "letta-collector",
        "letta-logs",
        "letta-service",
        "letta-trace",
    ]


@pytest.mark.parametrize("uid", sorted(DASHBOARDS.keys() - {"letta-trace"}))
def test_a_dashboard_can_be_narrowed_to_a_stack_and_an_environment(uid: str) -> None:
    dashboard = DASHBOARDS[uid]
    for name in ("device_id", "environment"):
        variable = grafana.variables(dashboard)[name]
        assert variable["includeAll"]
        assert variable["current"]["value"] == [grafana.ALL]


@each
def test_data_sources_are_chosen_by_whoever_imports_a_dashboard(dashboard: dict[str, Any]) -> None:
    [source] = [v for v in dashboard["templating"]["list"] if v["type"] == "datasource"]
    holders = [*dashboard["panels"], *(v for v in dashboard["templating"]["list"] if v["type"] == "query")]

    assert all(
        holder["datasource"] == {"type": source["query"], "uid": f"${{{source['name']}}}"} for holder in holders
    )


@each
def test_variables_that_are_used_are_declared(dashboard: dict[str, Any]) -> None:
    text = json.dumps(dashboard["panels"]) + json.dumps(dashboard["templating"])

    assert grafana.used_variables(text) <= grafana.variables(dashboard).keys()


@each
def test_variables_that_are_declared_are_used(dashboard: dict[str, Any]) -> None:
    assert grafana.variables(dashboard).keys() <= grafana.used_variables(json.dumps(dashboard["panels"]))


@each
def test_queries_name_tables_that_there_are(dashboard: dict[str, Any]) -> None:
    for query in grafana.queries(dashboard):
        named = set(re.findall(r"\$\{database\}\.(\w+)", query.text))
        assert named <= set(TABLES)
        assert bool(named) is (query.plugin == grafana.CLICKHOUSE)


@each
def test_queries_of_panels_look_at_the_chosen_stacks_only(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            used = grafana.used_variables(target.get("rawSql") or target["expr"])
            assert {"device_id", "environment"} <= used or "trace_id" in used, panel["title"]


def test_a_variable_means_the_same_in_all_dashboards() -> None:
    """They hand their variables on to each other; their own queries may ask different tables."""
    meant: dict[str, set[str]] = {}
    for dashboard in DASHBOARDS.values():
        for name, variable in grafana.variables(dashboard).items():
            meant.setdefault(name, set()).add("" if variable["type"] == "query" else variable["query"])

    assert {name for name, meanings in meant.items() if len(meanings) > 1} == set()


@each
def test_links_lead_to_a_dashboard_and_to_variables_that_it_has(dashboard: dict[str, Any]) -> None:
    for uid, variables in re.findall(r'"url": "/d/([\w-]+)\?([^"]+)"', json.dumps(dashboard)):
        assert set(re.findall(r"var-(\w+)=", variables)) <= grafana.variables(DASHBOARDS[uid]).keys()


@each
def test_panels_neither_share_their_ids_nor_their_places(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_what_is_no_macro_of_ours_is_not_guessed() -> None:
    now = datetime.now(UTC)
    times = grafana.Times(start=now, end=now, step=60)

    with pytest.raises(ValueError, match="was not replaced"):
        grafana.sql("SELECT $__dateFilter(day)", times=times, chosen={})
    with pytest.raises(KeyError, match="colour"):
        grafana.sql("SELECT ${colour}", times=times, chosen={})
