"""The tables in ClickHouse, made over HTTP before a collector that runs on this machine delivers into them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import otel
from operations.console.errors import OperationError
from operations.telemetry import clickhouse
from operations.telemetry.clickhouse import ClickHouseError, Trouble
from otel.clickhouse import SCHEMA_VERSION, statements
from toolchain import network

_PATIENCE = 10.0


class UndeliverableError(Exception):
    """The tables are not there and cannot be made now; the text says why."""


def ensure(target: otel.ClickHouse, password: str, *, retention_days: int) -> str:
    """Make the tables unless all are there, and give words on what was done.

    Tables that are there stay as they are, with the retention that they have: data may be in them that somebody
    wants to keep.

    Raises:
        UndeliverableError: when ClickHouse does not answer, or the user may not make tables.
        OperationError: when it refuses the user or password, or something else answers.
    """
    try:
        with network.client(_PATIENCE) as client:
            return _made(partial(clickhouse.ask, client, target, password), target, retention_days)
    except ClickHouseError as error:
        raise _reported(error) from None


def _made(ask: Callable[[str], str], target: otel.ClickHouse, retention_days: int) -> str:
    record = f'"{target.database}".otel_schema'
    # The name of the database is checked by ClickHouse's own class.
    if _number(ask(f"EXISTS TABLE {record} FORMAT TSV")):
        found = _number(ask(f"SELECT max(Version) FROM {record} FORMAT TSV"))  # noqa: S608
        if found >= SCHEMA_VERSION:
            return f"ClickHouse has its tables (schema {found})"
    for statement in statements(target, retention_days=retention_days):
        if " MODIFY TTL " not in statement:
            ask(statement)
    return f"made ClickHouse's tables (schema {SCHEMA_VERSION}); new ones keep signals for {retention_days} days"


def _number(answer: str) -> int:
    if not answer.strip().isdecimal():
        raise clickhouse.something_else("its answer makes no sense")
    return int(answer)


def _reported(error: ClickHouseError) -> OperationError | UndeliverableError:
    """Name the variables that mend it, or say that it may pass."""
    match error.trouble:
        case Trouble.NOT_LET_IN:
            return OperationError(
                str(error),
                where="CLICKHOUSE_USERNAME, CLICKHOUSE_PASSWORD",
                fix=["set the ones that it accepts"],
            )
        case Trouble.SOMETHING_ELSE:
            return OperationError(
                str(error),
                where="CLICKHOUSE_ENDPOINT",
                fix=["name the port of its HTTP interface, usually 8123, or 8443 with TLS"],
            )
        case Trouble.FAILED:
            return UndeliverableError(f"ClickHouse does not make the tables: {error}")
        case Trouble.AWAY:
            return UndeliverableError(str(error))
