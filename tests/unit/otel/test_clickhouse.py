"""The statements that create ClickHouse's tables, against the columns that each exporter version inserts."""

from __future__ import annotations

import re

import pytest

import otel
from otel.clickhouse import SCHEMA_VERSION, TABLES, statements

pytestmark = pytest.mark.unit

TARGET = otel.ClickHouse(endpoint="http://clickhouse:8123", database="telemetry")

# The columns that differ by version, and a few more, from the INSERT statements of the exporters.
INSERTED: dict[str, dict[str, tuple[str, ...]]] = {
    "otel_metrics_sum": {
        "0.96.0": ("AggTemp", "IsMonotonic"),
        "0.149.0": ("ServiceName", "AggregationTemporality"),
    },
    "otel_metrics_histogram": {"0.96.0": ("Min", "Max"), "0.149.0": ("ServiceName", "AggregationTemporality")},
    "otel_logs": {"0.96.0": ("TraceFlags", "ScopeAttributes"), "0.149.0": ("EventName",)},
    "otel_traces": {"0.96.0": ("ScopeVersion", "Duration"), "0.149.0": ("ScopeVersion", "Duration")},
}


def created(table: str) -> str:
    found = [
        text
        for text in statements(TARGET, retention_days=7)
        if f'TABLE IF NOT EXISTS "telemetry".{table} (' in text
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_created_once_in_the_database_with_a_retention(table: str) -> None:
    assert re.search(r"TTL .*toIntervalDay\(7\)", created(table))


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("table", INSERTED)
def test_a_table_has_the_columns_that_each_version_inserts(table: str, version: str) -> None:
    columns = set(re.findall(r"^    (\w+) ", created(table), re.MULTILINE))

    assert set(INSERTED[table][version]) <= columns


def test_inserts_of_the_old_version_fill_the_columns_that_it_does_not_name() -> None:
    table = created("otel_metrics_sum")

    assert "ServiceName LowCardinality(String) DEFAULT ResourceAttributes['service.name']" in table
    assert "AggregationTemporality Int32 DEFAULT AggTemp" in table


def test_statements_can_be_repeated_and_change_the_retention_of_existing_tables() -> None:
    texts = statements(TARGET, retention_days=30)

    assert all("IF NOT EXISTS" in text or text.startswith(("ALTER", "INSERT")) for text in texts)
    altered = {text.split()[2] for text in texts if "MODIFY TTL" in text and "toIntervalDay(30)" in text}
    assert altered == {f'"telemetry".{table}' for table in TABLES}


def test_the_lookup_by_trace_is_filled_from_the_spans() -> None:
    view = next(text for text in statements(TARGET, retention_days=7) if text.startswith("CREATE MATERIALIZED"))

    assert 'TO "telemetry".otel_traces_trace_id_ts' in view
    assert 'FROM "telemetry".otel_traces' in view


def test_the_last_statement_records_the_version() -> None:
    last = statements(TARGET, retention_days=7)[-1]

    assert last.startswith('INSERT INTO "telemetry".otel_schema (Version) SELECT')
    assert f"SELECT {SCHEMA_VERSION} " in last


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_a_retention_out_of_range_is_refused(days: int) -> None:
    with pytest.raises(otel.ConfigurationError, match=f"from 1 to 3650 days, not {days}"):
        statements(TARGET, retention_days=days)
