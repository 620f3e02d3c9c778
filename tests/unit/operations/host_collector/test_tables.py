"""The tables that `collector run` makes in ClickHouse: a real engine, and other servers at its address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer

import otel
from operations.console.errors import OperationError
from operations.host_collector import tables
from otel.clickhouse import SCHEMA_VERSION, TABLES
from testbed.clickhouse.server import ClickHouse, Fault

pytestmark = pytest.mark.unit

PASSWORD = "pä$$ 'word' \\"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with ClickHouse(tmp_path_factory.mktemp("clickhouse"), password=PASSWORD) as server:
        yield server


@pytest.fixture
def clickhouse(shared: ClickHouse) -> Iterator[ClickHouse]:
    yield shared
    shared.recover()
    shared.ask("DROP DATABASE IF EXISTS mine")


def ensure(clickhouse: ClickHouse, *, password: str = PASSWORD, days: int = 30) -> str:
    target = otel.ClickHouse(endpoint=clickhouse.url(), database="mine")
    return tables.ensure(target, password, retention_days=days)


def there(clickhouse: ClickHouse) -> set[str]:
    return {row["name"] for row in clickhouse.ask("SELECT name FROM system.tables WHERE database = 'mine'")}


def definition(clickhouse: ClickHouse, table: str) -> str:
    (row,) = clickhouse.ask(f"SHOW CREATE TABLE mine.{table}")
    return str(row["statement"])


def test_the_tables_are_created_once_with_the_requested_retention(clickhouse: ClickHouse) -> None:
    assert ensure(clickhouse, days=12).startswith(f"created ClickHouse's tables (schema {SCHEMA_VERSION})")
    assert set(TABLES) < there(clickhouse)
    assert "toIntervalDay(12)" in definition(clickhouse, "otel_traces")

    before = len(clickhouse.requests)
    assert ensure(clickhouse, days=1) == f"ClickHouse has all tables (schema {SCHEMA_VERSION})"
    assert len(clickhouse.requests) == before + 2
    assert "toIntervalDay(12)" in definition(clickhouse, "otel_traces")


def test_an_existing_table_keeps_its_retention(clickhouse: ClickHouse) -> None:
    ensure(clickhouse, days=300)
    clickhouse.ask("DROP TABLE mine.otel_schema")
    clickhouse.ask("DROP TABLE mine.otel_logs")

    ensure(clickhouse, days=1)

    assert "toIntervalDay(300)" in definition(clickhouse, "otel_traces")
    assert "toIntervalDay(1)" in definition(clickhouse, "otel_logs")


def test_a_wrong_password_is_an_error_that_names_the_variable(clickhouse: ClickHouse) -> None:
    with pytest.raises(OperationError, match="refuses the user or the password") as error:
        ensure(clickhouse, password="wrong-guess")

    assert "CLICKHOUSE_PASSWORD" in error.value.where
    assert "wrong-guess" not in str(error.value)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.REFUSES])
def test_tables_are_not_delivered_while_clickhouse_is_unreachable(clickhouse: ClickHouse, fault: Fault) -> None:
    with clickhouse.failing(fault), pytest.raises(tables.UndeliverableError, match="does not answer"):
        ensure(clickhouse)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (Fault.NOT_FOUND, "not ClickHouse's HTTP interface: HTTP 404"),
        (Fault.GARBAGE, "not ClickHouse's HTTP interface"),
        (Fault.UNAUTHORIZED, "refuses the user or the password"),
    ],
)
def test_an_answer_that_is_not_clickhouses_is_an_error(clickhouse: ClickHouse, fault: Fault, problem: str) -> None:
    with clickhouse.failing(fault), pytest.raises(OperationError, match=problem):
        ensure(clickhouse)


def test_the_reason_why_tables_cannot_be_created_is_reported(clickhouse: ClickHouse) -> None:
    # The engine's user may do everything, so a table of another shape stands in for missing rights.
    clickhouse.ask("CREATE DATABASE mine")
    clickhouse.ask("CREATE TABLE mine.otel_traces (n UInt8) ENGINE = Memory")

    with pytest.raises(tables.UndeliverableError, match=r"did not create the tables: .*Exception"):
        ensure(clickhouse)


def test_a_redirection_is_not_followed_with_the_password(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data(
        status=307, headers={"Location": httpserver.url_for("/elsewhere")}
    )
    target = otel.ClickHouse(endpoint=httpserver.url_for(""))

    with pytest.raises(OperationError, match="not ClickHouse's HTTP interface: HTTP 307"):
        tables.ensure(target, PASSWORD, retention_days=30)

    assert [request.path for request, _ in httpserver.log] == ["/"]
