"""The tables in ClickHouse, made over HTTP before a collector that runs on this machine delivers into them."""

from __future__ import annotations

import httpx

import otel
from operations.failure import OperationError
from otel.clickhouse import SCHEMA_VERSION, statements
from toolchain import network

_PATIENCE = 10.0
# ClickHouse's codes for what is wrong with user and password, which HTTP statuses tell less well.
_NOT_LET_IN = {"192", "193", "194", "516"}
_AWAY = {502, 503, 504}


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
    with network.client(_PATIENCE) as client:

        def ask(statement: str) -> str:
            return _ask(client, target, password, statement)

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
        raise _something_else("its answer makes no sense")
    return int(answer)


def _ask(client: httpx.Client, target: otel.ClickHouse, password: str, statement: str) -> str:
    try:
        answer = client.post(
            target.address,
            content=statement.encode(),
            auth=httpx.BasicAuth(target.username.encode(), password.encode()),
            # A redirection leads to something else, which is not to get the password.
            follow_redirects=False,
        )
    except httpx.HTTPError as error:
        raise UndeliverableError(f"ClickHouse does not answer: {str(error) or type(error).__name__}") from None
    code = answer.headers.get("X-ClickHouse-Exception-Code")
    if answer.status_code == httpx.codes.OK and code is None:
        return answer.text
    if code in _NOT_LET_IN or (code is None and answer.status_code == httpx.codes.UNAUTHORIZED):
        raise OperationError(
            "ClickHouse refuses the user or the password",
            where="CLICKHOUSE_USERNAME, CLICKHOUSE_PASSWORD",
            cure=["set the ones that it accepts"],
        )
    if code is not None:
        raise UndeliverableError(f"ClickHouse does not make the tables: {answer.text.strip()[:300]}")
    if answer.status_code in _AWAY:
        raise UndeliverableError(f"ClickHouse does not answer: HTTP {answer.status_code} from what is before it")
    raise _something_else(f"HTTP {answer.status_code}")


def _something_else(what: str) -> OperationError:
    return OperationError(
        f"what answers is not ClickHouse's HTTP interface: {what}",
        where="CLICKHOUSE_ENDPOINT",
        cure=["name the port of its HTTP interface, usually 8123, or 8443 with TLS"],
    )
