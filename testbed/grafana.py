"""Reads the dashboards of `otel/dashboards`, and expands their queries as Grafana does.

It supports only what our dashboards use; anything else raises ValueError. Macros are those of the plugin
`grafana-clickhouse-datasource`: `$__conditionalAll` is replaced first, then variables, then the macros of time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from toolchain.locations import ROOT

FOLDER = ROOT / "otel" / "dashboards"
ALL = "$__all"
"""Grafana's value of a variable for which everything is chosen."""

CLICKHOUSE, PROMETHEUS = "grafana-clickhouse-datasource", "prometheus"

Value = str | tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """The query of a panel, or of a variable (then `title` is its name). `plugin` is the data source's plugin."""

    dashboard: str
    title: str
    plugin: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """The time range of a dashboard, and the seconds between points of its graphs."""

    start: datetime
    end: datetime
    step: int


def dashboards() -> list[dict[str, Any]]:
    """Return all dashboards, sorted by file name."""
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


def variables(dashboard: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the declared variables by name."""
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def queries(dashboard: Mapping[str, Any]) -> Iterator[Query]:
    """Yield the queries of a dashboard's variables, then those of its panels."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield _query(dashboard, variable["name"], variable, variable["query"])
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield _query(dashboard, panel["title"], panel, target.get("rawSql") or target["expr"])


def _query(dashboard: Mapping[str, Any], title: str, holder: Mapping[str, Any], text: str) -> Query:
    return Query(dashboard=dashboard["uid"], title=title, plugin=holder["datasource"]["type"], text=text)


def used_variables(text: str) -> set[str]:
    """Return the names of the variables in a text, except Grafana's own, which begin with two underscores."""
    return {braced or plain for braced, _, plain in _VARIABLE.findall(text)}


_VARIABLE = re.compile(r"\$\{(?!__)(\w+)(?::(\w+))?\}|\$(?!__)([A-Za-z_]\w*)")


def sql(text: str, *, times: Times, chosen: Mapping[str, Value]) -> str:
    """Expand a query for ClickHouse."""
    while (start := text.find("$__conditionalAll(")) >= 0:
        condition, variable, end = _arguments(text, start)
        value = chosen[next(iter(used_variables(variable)))]
        text = text[:start] + ("1=1" if value in (ALL, (ALL,)) else condition) + text[end:]
    text = _VARIABLE.sub(lambda found: _formatted(chosen[found[1] or found[3]], found[2]), text)
    first, last = int(times.start.timestamp()), int(times.end.timestamp())
    text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 >= toDateTime({first}) AND \1 <= toDateTime({last})", text)
    text = re.sub(
        r"\$__timeInterval\((\w+)\)",
        rf"toStartOfInterval(toDateTime(\1), INTERVAL {times.step} second)",
        text,
    )
    return _finished(text.replace("$__interval_s", str(times.step)))


def promql(text: str, *, chosen: Mapping[str, Value], rate_interval: str) -> str:
    """Expand a query for Prometheus."""
    text = text.replace("$__rate_interval", rate_interval)
    return _finished(_VARIABLE.sub(lambda found: _formatted(chosen[found[1] or found[3]], found[2]), text))


def _finished(text: str) -> str:
    if "$" in text:
        raise ValueError(f"something was not replaced: {text[text.index('$') :][:60]}")
    return text


def _arguments(text: str, start: int) -> tuple[str, str, int]:
    """Return both arguments of the macro that begins at `start`, and where it ends."""
    opened = text.index("(", start)
    depth, comma = 0, 0
    for at in range(opened, len(text)):
        match text[at]:
            case "(":
                depth += 1
            case ")":
                depth -= 1
            case "," if depth == 1:
                comma = at
        if depth == 0:
            return text[opened + 1 : comma], text[comma + 1 : at], at + 1
    raise ValueError(f"a parenthesis is not closed: {text[start:][:60]}")


def _formatted(value: Value, how: str) -> str:
    match how or "", value:
        case "", str():
            return value
        case "singlequote", tuple():
            return ",".join("'" + one.replace("'", "\\'") + "'" for one in value)
        case "sqlstring", str():
            return "'" + value.replace("'", "''") + "'"
        case _:
            raise ValueError(f"the value {value!r} in the format {how!r}")
