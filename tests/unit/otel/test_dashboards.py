"""What Grafana requires of the dashboards' files; tests/engine/test_dashboards.py runs their queries."""

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


def test_the_uids_that_links_to_dashboards_use_stay_the_same() -> None:
    assert [dashboard["uid"] for dashboard in grafana.dashboards()] == [
        "letta-agents",
        "letta-collector",
        "letta-logs",
        "letta-service",
        "letta-trace",
    ]


@pytest.mark.parametrize("uid", sorted(DASHBOARDS.keys() - {"letta-trace"}))
def test_a_dashboard_can_be_filtered_by_stack_and_environment(uid: str) -> None:
    dashboard = DASHBOARDS[uid]
    for name in ("device_id", "environment"):
        variable = grafana.variables(dashboard)[name]
        assert variable["includeAll"]
        assert variable["current"]["value"] == [grafana.ALL]


@each
def test_the_user_chooses_the_data_source_when_importing_a_dashboard(dashboard: dict[str, Any]) -> None:
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
def test_queries_use_existing_tables(dashboard: dict[str, Any]) -> None:
    for query in grafana.queries(dashboard):
        named = set(re.findall(r"\$\{database\}\.(\w+)", query.text))
        assert named <= set(TABLES)
        assert bool(named) is (query.plugin == grafana.CLICKHOUSE)


@each
def test_queries_of_panels_are_filtered_by_stack(dashboard: dict[str, Any]) -> None:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            used = grafana.used_variables(target.get("rawSql") or target["expr"])
            assert {"device_id", "environment"} <= used or "trace_id" in used, panel["title"]


def test_a_variable_is_defined_alike_in_all_dashboards() -> None:
    """Links pass variables on; only the tables that a query variable reads may differ."""
    definitions: dict[str, set[str]] = {}
    for dashboard in DASHBOARDS.values():
        for name, variable in grafana.variables(dashboard).items():
            definitions.setdefault(name, set()).add("" if variable["type"] == "query" else variable["query"])

    assert {name for name, found in definitions.items() if len(found) > 1} == set()


@each
def test_links_lead_to_a_dashboard_and_to_variables_that_it_has(dashboard: dict[str, Any]) -> None:
    for uid, variables in re.findall(r'"url": "/d/([\w-]+)\?([^"]+)"', json.dumps(dashboard)):
        assert set(re.findall(r"var-(\w+)=", variables)) <= grafana.variables(DASHBOARDS[uid]).keys()


@each
def test_panels_neither_share_ids_nor_overlap(dashboard: dict[str, Any]) -> None:
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


def test_an_unknown_macro_is_an_error() -> None:
    now = datetime.now(UTC)
    times = grafana.Times(start=now, end=now, step=60)

    with pytest.raises(ValueError, match="was not replaced"):
        grafana.sql("SELECT $__dateFilter(day)", times=times, chosen={})
    with pytest.raises(KeyError, match="colour"):
        grafana.sql("SELECT ${colour}", times=times, chosen={})
