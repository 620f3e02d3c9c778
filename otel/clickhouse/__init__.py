"""The ClickHouse tables that the collector inserts into, as SQL statements.

They are not created by the exporters, because these race each other and do not start while ClickHouse is down. The
tables accept the inserts of every version in `otel.VERSIONS`. Files are applied in the order of their numbers;
change an existing table by a new file with the next number, never by editing an old one.
"""

from __future__ import annotations

from pathlib import Path

from otel.config_context import ClickHouse
from otel.errors import ConfigurationError

TABLES = (
    "otel_traces",
    "otel_traces_trace_id_ts",
    "otel_logs",
    "otel_metrics_gauge",
    "otel_metrics_sum",
    "otel_metrics_histogram",
    "otel_metrics_exponential_histogram",
    "otel_metrics_summary",
)
LONGEST_RETENTION_DAYS = 3650
_FILES = sorted(Path(__file__).parent.glob("[0-9]*.sql"))
SCHEMA_VERSION = int(_FILES[-1].name.split("_")[0])


def statements(target: ClickHouse, *, retention_days: int) -> tuple[str, ...]:
    """Return all statements, in order. Each can be repeated: existing data is kept, and gets the new retention.

    The last one records the schema's version, which is the highest number of a file.

    Raises:
        ConfigurationError: when the retention is out of range.
    """
    if not 1 <= retention_days <= LONGEST_RETENTION_DAYS:
        raise ConfigurationError(
            f"telemetry must be kept from 1 to {LONGEST_RETENTION_DAYS} days, not {retention_days}"
        )
    text = "".join(path.read_text() for path in _FILES).format(database=target.database, days=retention_days)
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    tables = [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]
    database = target.database
    return (
        f'CREATE DATABASE IF NOT EXISTS "{database}"',
        *tables,
        f'CREATE TABLE IF NOT EXISTS "{database}".otel_schema'
        " (Version UInt32, AppliedAt DateTime DEFAULT now()) ENGINE = ReplacingMergeTree ORDER BY Version",
        # `ClickHouse` validates the database's name.
        f'INSERT INTO "{database}".otel_schema (Version) SELECT {SCHEMA_VERSION}'  # noqa: S608
        f' WHERE {SCHEMA_VERSION} NOT IN (SELECT Version FROM "{database}".otel_schema)',
    )
