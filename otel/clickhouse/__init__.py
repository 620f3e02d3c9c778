"""The tables in ClickHouse that the collector inserts into, as statements for whoever runs them.

Own tables, because exporters that create them race each other and do not start while ClickHouse is down. They
suit the inserts of every version in `otel.VERSIONS`. Files are applied in the order of their numbers; a table that
has been created is changed by a new file with the next number, never by an edit of an old one.
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
    """Give all statements, in order. Each may run again and again: what is there stays, and gets the retention.

    The last one records the schema's version, which is the highest number of a file.
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
        # The name is checked by ClickHouse's own class.
        f'INSERT INTO "{database}".otel_schema (Version) SELECT {SCHEMA_VERSION}'  # noqa: S608
        f' WHERE {SCHEMA_VERSION} NOT IN (SELECT Version FROM "{database}".otel_schema)',
    )
