"""Creates ClickHouse's tables over HTTP, before a collector on this machine writes to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import otel
from operations.console.errors import OperationError
from operations.telemetry import clickhouse
from operations.telemetry.clickhouse import ClickHouseError, Failure
from otel.clickhouse import SCHEMA_VERSION, statements
from toolchain import network

_REQUEST_SECONDS = 10.0


class UndeliverableError(Exception):
    """The tables do not exist and cannot be created now; the text says why."""


def ensure(target: otel.ClickHouse, password: str, *, retention_days: int) -> str:
    """Create the tables that do not exist, and return a sentence on what was done.

    Existing tables keep their retention: the user may want to keep the data in them.

    Raises:
        UndeliverableError: when ClickHouse does not answer, or its user may not create tables.
        OperationError: when it refuses the user or password, or when it is not ClickHouse that answers.
    """
    try:
        with network.client(_REQUEST_SECONDS) as client:
            return _create(partial(clickhouse.ask, client, target, password), target, retention_days)
    except ClickHouseError as error:
        raise _explained(error) from None


def _create(ask: Callable[[str], str], target: otel.ClickHouse, retention_days: int) -> str:
    record = f'"{target.database}".otel_schema'
    # The name of the database is checked by ClickHouse's own class.
    if _number(ask(f"EXISTS TABLE {record} FORMAT TSV")):
        found = _number(ask(f"SELECT max(Version) FROM {record} FORMAT TSV"))  # noqa: S608
        if found >= SCHEMA_VERSION:
            return f"ClickHouse has all tables (schema {found})"
    for statement in statements(target, retention_days=retention_days):
        if " MODIFY TTL " not in statement:
            ask(statement)
    return (
        f"created ClickHouse's tables (schema {SCHEMA_VERSION}); new ones keep signals for {retention_days} days"
    )


def _number(answer: str) -> int:
    if not answer.strip().isdecimal():
        raise clickhouse.not_clickhouse("its answer is not a number")
    return int(answer)


def _explained(error: ClickHouseError) -> OperationError | UndeliverableError:
    """Return an error with the variables that fix it, or one that may pass by itself."""
    match error.failure:
        case Failure.ACCESS_DENIED:
            return OperationError(
                str(error),
                where="CLICKHOUSE_USERNAME, CLICKHOUSE_PASSWORD",
                fix=["set a user and password that ClickHouse accepts"],
            )
        case Failure.NOT_CLICKHOUSE:
            return OperationError(
                str(error),
                where="CLICKHOUSE_ENDPOINT",
                fix=["use the port of its HTTP interface, usually 8123, or 8443 with TLS"],
            )
        case Failure.STATEMENT:
            return UndeliverableError(f"ClickHouse did not create the tables: {error}")
        case Failure.UNREACHABLE:
            return UndeliverableError(str(error))
