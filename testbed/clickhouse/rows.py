"""Which counted signals are in ClickHouse's tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from testbed.clickhouse.server import ClickHouse
from testbed.otlp.items import RUN, SEQUENCE, Signal

TABLES: Mapping[Signal, tuple[str, str]] = {
    Signal.TRACES: ("otel.otel_traces", "SpanAttributes"),
    Signal.METRICS: ("otel.otel_metrics_gauge", "Attributes"),
    Signal.LOGS: ("otel.otel_logs", "LogAttributes"),
}


def stored(server: ClickHouse, run: str, signal: Signal) -> Counter[int]:
    """Return how often each number of a run is in the signal's table."""
    table, attributes = TABLES[signal]
    rows = server.ask(
        f"SELECT toUInt64({attributes}['{SEQUENCE}']) AS n, count() AS times FROM {table}"  # noqa: S608
        f" WHERE {attributes}['{RUN}'] = {{run:String}} GROUP BY n",
        parameters={"run": run},
    )
    return Counter({row["n"]: row["times"] for row in rows})
