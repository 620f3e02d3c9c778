"""The ClickHouse server for tests answers real drivers and plain HTTP as ClickHouse does."""

from __future__ import annotations

import gzip
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import clickhouse_connect
import httpx
import lz4.block  # type: ignore[import-untyped]
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from testbed.certificates import Authority
from testbed.clickhouse import native_format as native
from testbed.clickhouse.server import ClickHouse, Fault, Request

pytestmark = pytest.mark.unit

PASSWORD = "right 'and' \\ % odd"
ONE_NUMBER = b"\x01\x01\x01n\x06UInt64" + struct.pack("<Q", 7)
ODD = "a 'quoted' \\ b\n\t`c` ä"

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain HTTP: loading the machine's CA bundle would take most of a test's time."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with ClickHouse(tmp_path_factory.mktemp("clickhouse"), password=PASSWORD) as server:
        server.ask("CREATE DATABASE test")
        yield server


@pytest.fixture
def clickhouse(shared: ClickHouse) -> Iterator[ClickHouse]:
    yield shared
    shared.recover()
    shared.accept(PASSWORD)


@pytest.fixture
def http(clickhouse: ClickHouse) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=clickhouse.url(), auth=("default", PASSWORD), verify=NO_TLS) as client:
        yield client


def driver(clickhouse: ClickHouse, *, password: str = PASSWORD) -> Any:
    return clickhouse_connect.get_client(
        host="127.0.0.1", port=clickhouse.port, username="default", password=password, database="test"
    )


def numbers(clickhouse: ClickHouse) -> list[int]:
    return [row["n"] for row in clickhouse.ask("SELECT n FROM test.numbers ORDER BY n")]


def make_numbers(clickhouse: ClickHouse) -> None:
    clickhouse.ask("CREATE OR REPLACE TABLE test.numbers (n UInt64) ENGINE MergeTree ORDER BY n")


def insert(http: httpx.Client, **more: Any) -> httpx.Response:
    url = {"query": "INSERT INTO numbers (n) FORMAT Native", "database": "test"}
    return http.post("/", params={**url, **more.pop("params", {})}, **{"content": ONE_NUMBER, **more})


def test_the_driver_that_letta_uses_reads_back_each_type_of_the_telemetry_tables(clickhouse: ClickHouse) -> None:
    client = driver(clickhouse)
    client.command(
        "CREATE TABLE rows (name LowCardinality(String), id String, size UInt64, ratio Float64,"
        " tags Map(LowCardinality(String), String), labels Array(LowCardinality(String)), bounds Array(Float64),"
        " events Nested (of LowCardinality(String), with Map(LowCardinality(String), String), at DateTime64(9)),"
        " state Enum8('a, b' = 1, 'c' = 2), maybe Nullable(String), often LowCardinality(Nullable(String)),"
        " pair Tuple(x Int32, `y z` FixedString(2)), time DateTime64(9), price Decimal(18, 4), who UUID)"
        " ENGINE MergeTree ORDER BY time"
    )
    columns = (
        *("name", "id", "size", "ratio", "tags", "labels", "bounds", "events.of", "events.with", "state", "maybe"),
        *("often", "pair"),
    )
    pair = {"x": 1, "y z": b"no"}
    row = ("n", ODD, 2**64 - 1, 0.1, {"a": ODD}, ["x"], [1.5], ["e"], [{"f": "g"}], "a, b", None, None, pair)
    other: tuple[Any, ...] = ("", "", 0, 0.0, {}, [], [], [], [], "c", "x", "y", {"x": -1, "y z": b"ab"})

    client.insert("rows", [[*row, [1]], [*other, []]], column_names=[*columns, "events.at"])

    found = client.query("SELECT * FROM rows ORDER BY size DESC")
    assert [dict(zip(found.column_names, one, strict=True)) for one in found.result_rows] == [
        {**dict(zip(columns, one, strict=True)), **rest}
        for one, rest in zip(
            (row, other),
            (dict.fromkeys(("events.at", "time", "price", "who"), ANY),) * 2,
            strict=True,
        )
    ]


def test_the_driver_reads_results_of_many_blocks_to_their_end(clickhouse: ClickHouse) -> None:
    found = (
        driver(clickhouse)
        .query("SELECT number, toLowCardinality(toString(number % 300)) FROM numbers(150000)")
        .result_rows
    )

    assert len(found) == 150000
    assert sum(number for number, _ in found) == sum(range(150000))


def test_placeholders_are_filled_by_the_driver_or_the_server(clickhouse: ClickHouse) -> None:
    client = driver(clickhouse)

    assert client.query("SELECT %(x)s AS x", parameters={"x": ODD}).result_rows == [(ODD,)]
    assert client.query("SELECT {x:String} AS x", parameters={"x": "it's"}).result_rows == [("it's",)]


def test_the_driver_reports_a_wrong_password(clickhouse: ClickHouse) -> None:
    with pytest.raises(DatabaseError, match=r"Code: 516.*Authentication failed"):
        driver(clickhouse, password="wrong")


@pytest.mark.parametrize(
    ("credentials", "status", "code"),
    [
        ({"auth": ("default", PASSWORD)}, 200, None),
        ({"headers": {"X-ClickHouse-User": "default", "X-ClickHouse-Key": PASSWORD}}, 200, None),
        ({"params": {"user": "default", "password": PASSWORD}}, 200, None),
        ({"params": {"password": PASSWORD}}, 200, None),
        ({"auth": ("default", "wrong")}, 403, "516"),
        ({"auth": ("other", PASSWORD)}, 403, "516"),
        ({}, 401, "194"),
    ],
)
def test_each_kind_of_credentials_needs_the_right_password(
    clickhouse: ClickHouse, credentials: dict[str, Any], status: int, code: str | None
) -> None:
    answer = httpx.post(clickhouse.url(), content="SELECT 1", verify=NO_TLS, **credentials)

    assert (answer.status_code, answer.headers.get("X-ClickHouse-Exception-Code")) == (status, code)


def test_a_changed_password_refuses_the_old_one_at_once(clickhouse: ClickHouse, http: httpx.Client) -> None:
    clickhouse.accept(PASSWORD, "new")
    assert http.post("/", content="SELECT 1").status_code == 200

    clickhouse.accept("new")

    assert http.post("/", content="SELECT 1").status_code == 403
    assert http.post("/", content="SELECT 1", auth=("default", "new")).text == "1\n"


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        ("SELEKT 1", 400, "62"),
        ("SELECT * FROM nowhere", 404, "60"),
        ("SELECT * FROM nowhere.nothing", 404, "81"),
        ("SELECT x", 404, "47"),
        ("SELECT throwIf(1)", 500, "395"),
    ],
)
def test_errors_have_clickhouses_status_and_code(
    http: httpx.Client, statement: str, status: int, code: str
) -> None:
    answer = http.post("/", content=statement)

    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")


def test_a_statement_may_be_split_between_url_and_body(http: httpx.Client) -> None:
    assert http.get("/", params={"query": "SELECT 1"}).text == "1\n"
    assert http.post("/", content=iter([b"SELECT", b" 1"])).text == "1\n"
    assert http.post("/", params={"query": "SELECT"}, content="1 AS n FORMAT JSONEachRow").text == '{"n":1}\n'
    assert http.get("/", params={"query": "SELECT 1", "default_format": "CSV"}).text == "1\n"
    assert http.get("/ping").text == "Ok.\n"


def test_a_setting_in_the_url_applies_to_its_statement_only(http: httpx.Client) -> None:
    asked = {"query": "SELECT getSetting('max_threads')"}

    assert http.get("/", params={**asked, "max_threads": "3"}).text == "3\n"
    assert http.get("/", params=asked).text != "3\n"
    assert http.get("/", params={**asked, "no_such_setting": "1"}).headers["X-ClickHouse-Exception-Code"] == "115"


@pytest.mark.parametrize(
    "wrapping",
    [
        {},
        {"content": iter([ONE_NUMBER[:5], ONE_NUMBER[5:]])},
        {"content": gzip.compress(ONE_NUMBER), "headers": {"Content-Encoding": "gzip"}},
        {"content": native.compressed(ONE_NUMBER), "params": {"decompress": "1"}},
    ],
    ids=["plain", "chunked", "gzip", "frames"],
)
def test_native_inserts_are_stored_however_they_are_wrapped(
    clickhouse: ClickHouse, http: httpx.Client, wrapping: dict[str, Any]
) -> None:
    make_numbers(clickhouse)

    answer = insert(http, **wrapping)

    assert (answer.status_code, answer.text) == (200, "")
    assert '"written_rows": "1"' in answer.headers["X-ClickHouse-Summary"]
    assert numbers(clickhouse) == [7]
    assert list(clickhouse.inserts.iterdir()) == []


@pytest.mark.parametrize(
    ("wrapping", "code"),
    [
        ({"content": b"GET"}, None),
        ({"content": b""}, "108"),
        ({"content": native.compressed(ONE_NUMBER)[:-1], "params": {"decompress": "1"}}, "271"),
        ({"content": b"x" + native.compressed(ONE_NUMBER)[1:], "params": {"decompress": "1"}}, "271"),
        ({"headers": {"Content-Encoding": "br"}}, "48"),
    ],
)
def test_a_damaged_insert_is_refused_and_nothing_is_stored(
    clickhouse: ClickHouse, http: httpx.Client, wrapping: dict[str, Any], code: str | None
) -> None:
    make_numbers(clickhouse)

    answer = insert(http, **wrapping)

    assert answer.status_code >= 400
    assert code in {None, answer.headers["X-ClickHouse-Exception-Code"]}
    assert numbers(clickhouse) == []


def test_blocks_are_written_for_the_protocol_version_that_a_client_names(http: httpx.Client) -> None:
    def asked(**parameters: str) -> bytes:
        return http.get("/", params={"query": "SELECT toUInt64(7) AS n FORMAT Native", **parameters}).content

    header = bytes([1, 0, 2, 255, 255, 255, 255, 0])
    name, number = ONE_NUMBER[:-8], ONE_NUMBER[-8:]
    assert asked() == ONE_NUMBER
    assert asked(client_protocol_version="54405") == header + ONE_NUMBER
    assert asked(client_protocol_version="54460") == header + name + b"\0" + number
    assert native.decompressed(asked(compress="1")) == ONE_NUMBER


def test_frames_in_lz4_are_read() -> None:
    packed = lz4.block.compress(ONE_NUMBER, store_size=False)
    frame = struct.pack("<BII", 0x82, 9 + len(packed), len(ONE_NUMBER)) + packed

    assert native.decompressed(2 * (native._checksum(frame) + frame)) == 2 * ONE_NUMBER


def test_unknown_types_are_refused_and_not_garbled(http: httpx.Client) -> None:
    asked = {"query": "SELECT sumState(1) AS s FORMAT Native", "client_protocol_version": "54460"}

    assert http.get("/", params=asked).headers["X-ClickHouse-Exception-Code"] == "48"


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Fault.UNAVAILABLE, 503), (Fault.NOT_FOUND, 404), (Fault.UNAUTHORIZED, 401), (Fault.GARBAGE, 200)],
)
def test_a_faulty_server_stores_nothing_and_works_when_the_fault_is_over(
    clickhouse: ClickHouse, http: httpx.Client, fault: Fault, status: int
) -> None:
    make_numbers(clickhouse)

    with clickhouse.failing(fault):
        answer = insert(http)
        assert http.get("/ping").status_code == status
        assert numbers(clickhouse) == []

    assert answer.status_code == status
    assert "X-ClickHouse-Summary" not in answer.headers
    assert insert(http).status_code == 200
    assert numbers(clickhouse) == [7]


def test_a_server_that_refuses_cuts_off_connected_clients_and_keeps_its_port(
    clickhouse: ClickHouse, http: httpx.Client
) -> None:
    http.get("/ping")
    with clickhouse.failing(Fault.REFUSES):
        with pytest.raises(httpx.TransportError):
            http.get("/ping")
        with pytest.raises(httpx.ConnectError):
            http.get("/ping")

    assert http.get("/ping").text == "Ok.\n"


def test_an_insert_whose_answer_is_cut_off_is_stored_nevertheless(
    clickhouse: ClickHouse, http: httpx.Client
) -> None:
    make_numbers(clickhouse)

    with clickhouse.failing(Fault.CUTS_ANSWERS), pytest.raises(httpx.RemoteProtocolError):
        insert(http)

    assert numbers(clickhouse) == [7]
    assert clickhouse.requests[-1].status == 0
    assert clickhouse.requests[-1].written_rows == 1


def test_a_server_that_swallows_inserts_reports_success(clickhouse: ClickHouse, http: httpx.Client) -> None:
    make_numbers(clickhouse)

    with clickhouse.failing(Fault.SWALLOWS):
        assert insert(http).status_code == 200
        assert http.post("/", content="SELECT 1").text == "1\n"

    assert numbers(clickhouse) == []


def test_a_slow_server_answers_when_the_fault_is_over(clickhouse: ClickHouse, http: httpx.Client) -> None:
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(http.post("/", content="SELECT 1").text))

    with clickhouse.failing(Fault.SLOW):
        asking.start()
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(clickhouse.url(), content="SELECT 1", timeout=0.05, verify=NO_TLS)
        assert answers == []
    asking.join()

    assert answers == ["1\n"]


def test_requests_are_recorded_and_can_be_waited_for(clickhouse: ClickHouse, http: httpx.Client) -> None:
    http.post("/", content="SELECT 'waited for'")

    def is_mine(request: Request) -> bool:
        return "waited for" in request.statement

    assert clickhouse.wait_for(is_mine).user == "default"
    with pytest.raises(TimeoutError):
        clickhouse.wait_for(lambda _: False, seconds=0.01)


def test_only_clients_that_know_the_authority_trust_the_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = ClickHouse(tmp_path, password=PASSWORD, certificate=authority.issue("127.0.0.1", "localhost"))
    server._server.start()  # the engine is not needed
    try:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(server.url())
        context = ssl.create_default_context(cafile=str(authority.certificate))
        assert httpx.get(f"{server.url()}/ping", verify=context).text == "Ok.\n"
        assert httpx.get(f"{server.url('localhost')}/ping", verify=context).text == "Ok.\n"
    finally:
        server._server.close()
