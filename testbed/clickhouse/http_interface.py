"""ClickHouse's HTTP interface, for `testbed.clickhouse.server`: credentials, statements, encodings, answers.

Statuses are ClickHouse's: 403 with code 516 for a wrong password, 401 with code 194 for none.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import parse_qsl, urlsplit

import lz4.frame  # type: ignore[import-untyped]

from testbed.clickhouse import native_format as native
from testbed.clickhouse.engine import UNAVAILABLE, Answer, Engine, EngineError
from testbed.stoppable_server import QuietHandler

NOT_IMPLEMENTED, REQUIRED_PASSWORD, AUTHENTICATION_FAILED = 48, 194, 516
CANNOT_DECOMPRESS, NO_DATA = 271, 108

STATUSES = {
    REQUIRED_PASSWORD: 401,
    AUTHENTICATION_FAILED: 403,
    **dict.fromkeys((6, 26, 27, 36, 38, 41, 53, 62, 72, 117), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 73, 81, 115), 404),
    159: 408,
    NOT_IMPLEMENTED: 501,
    **dict.fromkeys((209, UNAVAILABLE), 503),
}
"""HTTP statuses by ClickHouse's error codes; all others are 500."""

TRANSPORT = frozenset({
    "query", "database", "user", "password", "default_format", "compress", "decompress", "query_id", "quota_key",
    "session_id", "session_timeout", "session_check", "wait_end_of_query", "client_protocol_version",
    "buffer_size", "enable_http_compression", "role", "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
})  # fmt: skip
"""URL parameters that are not settings of the statement, or are ignored here."""

INSERT = re.compile(
    rb"\s*(?P<into>INSERT\s+INTO\s.+?)(?:\s+SETTINGS\s.+?)?\s+FORMAT\s+(?P<format>\w+)[ \t;]*\r?\n?", re.I | re.S
)
FORMAT = re.compile(r"\bFORMAT\s+(\w+)[\s;]*$", re.I)


class Fault(StrEnum):
    """A fault of the server."""

    REFUSES = auto()
    """New connections are refused, open ones are cut off."""
    UNAVAILABLE = auto()
    """Each answer is 503, as from a proxy whose server is down."""
    NOT_FOUND = auto()
    """Each answer is 404, as from a web server that is not ClickHouse."""
    UNAUTHORIZED = auto()
    """Each answer is 401, as from a proxy with its own users."""
    GARBAGE = auto()
    """Each answer is 200 with an HTML page, as from another web server or a login page. Nothing is stored."""
    SWALLOWS = auto()
    """Inserts are answered with 200 and not stored; everything else works."""
    SLOW = auto()
    """Each answer waits for `delay` seconds, or until the fault is over."""
    CUTS_ANSWERS = auto()
    """Inserts are stored, and the connection is cut off before the answer: clients insert again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request: its user, the statement without inserted data, and the result.

    `status` is 0 for a request without an answer, `code` is ClickHouse's, or 0.
    """

    user: str
    statement: str
    status: int
    code: int
    written_rows: int


FAULTY: Mapping[Fault | None, tuple[int, bytes]] = {
    Fault.UNAVAILABLE: (503, b"upstream connect error or disconnect/reset before headers"),
    Fault.NOT_FOUND: (404, b"<html><body><h1>404 Not Found</h1></body></html>"),
    Fault.UNAUTHORIZED: (401, b"Unauthorized"),
    Fault.GARBAGE: (200, b"<html><body>It works!</body></html>"),
}


class Server(Protocol):
    """What a handler needs of its server."""

    engine: Engine
    inserts: Path

    @property
    def fault(self) -> Fault | None:
        """The current fault, or None."""

    def pause(self) -> None:
        """Wait as a slow server does."""

    def accepts(self, user: str, password: str) -> bool:
        """Return whether the credentials are right."""

    def note(self, request: Request) -> None:
        """Record a request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wanted:
    """A statement, its binary data to insert if there is any, and the output format."""

    statement: str
    native: bytes | None
    output: str


class Handler(QuietHandler):
    """One connection."""

    def do_GET(self) -> None:  # noqa: N802
        """Answer pings, and queries in the URL."""
        if urlsplit(self.path).path in {"/", "/ping"} and not urlsplit(self.path).query:
            self._answer_ping()
        else:
            self._receive(b"")

    def do_POST(self) -> None:  # noqa: N802
        """Run the query in the URL or the body."""
        self._receive(self.read_body())

    @property
    def _clickhouse(self) -> Server:
        return cast("Server", self.server.owner)

    def _answer_ping(self) -> None:
        fault = self._clickhouse.fault
        if fault in FAULTY:
            self._send(*FAULTY[fault])
        else:
            self._send(200, b"Ok.\n")

    def _receive(self, body: bytes) -> None:
        clickhouse = self._clickhouse
        self._parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        user, password = self._credentials()
        fault = clickhouse.fault
        if fault is Fault.SLOW:
            clickhouse.pause()
        statement, status, code, answer = self._parameters.get("query", ""), 0, 0, None
        if fault in FAULTY:
            status, content = FAULTY[fault]
        else:
            try:
                self._let_in(user, password)
                wanted = self._wanted(self._unwrapped(body))
                statement = wanted.statement
                answer = self._run(wanted)
                status, content = 200, self._wrapped(answer.data, wanted.output)
            except (EngineError, native.UnsupportedError) as error:
                code = error.code if isinstance(error, EngineError) else NOT_IMPLEMENTED
                status, content = STATUSES.get(code, 500), f"{error}\n".encode()
        written = answer.written_rows if answer else 0
        cut = (fault is Fault.CUTS_ANSWERS and written > 0) or not self.server.running
        # Before the answer, so that a client with an answer finds its request recorded.
        clickhouse.note(
            Request(user=user, statement=statement, status=0 if cut else status, code=code, written_rows=written)
        )
        if cut:
            self.close_connection = True
        else:
            self._send(status, content, self._headers(code, answer))

    def _credentials(self) -> tuple[str, str]:
        kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            user, _, password = base64.b64decode(encoded).decode().partition(":")
            return user, password
        user = self.headers.get("X-ClickHouse-User") or self._parameters.get("user", "")
        return user, self.headers.get("X-ClickHouse-Key") or self._parameters.get("password", "")

    def _let_in(self, user: str, password: str) -> None:
        if not self._clickhouse.accepts(user or "default", password):
            code, name = (
                (AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED")
                if password
                else (REQUIRED_PASSWORD, "REQUIRED_PASSWORD")
            )
            raise EngineError(
                f"Code: {code}. DB::Exception: {user or 'default'}: Authentication failed: password is incorrect, "
                f"or there is no user with such name. ({name})"
            )

    def _unwrapped(self, body: bytes) -> bytes:
        try:
            match self.headers.get("Content-Encoding", ""):
                case "gzip":
                    body = gzip.decompress(body)
                case "deflate":
                    body = zlib.decompress(body)
                case "lz4":
                    body = lz4.frame.decompress(body)
                case "":
                    pass
                case other:
                    raise native.UnsupportedError(f"content encoding {other}")
            return native.decompressed(body) if self._parameters.get("decompress") == "1" else body
        except (ValueError, EOFError, OSError, zlib.error, lz4.block.LZ4BlockError, RuntimeError) as error:
            raise EngineError(f"Code: {CANNOT_DECOMPRESS}. DB::Exception: {error} (CANNOT_DECOMPRESS)") from error

    def _wanted(self, body: bytes) -> _Wanted:
        """Separate statement and data: the URL may have all of the statement, its start, or nothing."""
        if self.headers.get("Content-Type", "").startswith("multipart/"):
            raise native.UnsupportedError("external tables")
        start = self._parameters.get("query", "").encode()
        text = start + b"\n" + body if start else body
        insert = INSERT.match(text)
        if insert and insert["format"] == b"Native":
            statement = f"{insert['into'].decode()} FORMAT Native"
            return _Wanted(statement=statement, native=text[insert.end() :], output="Native")
        statement = text.decode(errors="replace").strip()
        explicit = FORMAT.search(statement) if not insert else None
        default = self.headers.get("X-ClickHouse-Format") or self._parameters.get("default_format", "TabSeparated")
        return _Wanted(statement=statement, native=None, output=explicit[1] if explicit else default)

    def _run(self, wanted: _Wanted) -> Answer:
        settings = {
            name: value
            for name, value in self._parameters.items()
            if name not in TRANSPORT and not name.startswith("param_")
        }
        parameters = {
            name.removeprefix("param_"): value
            for name, value in self._parameters.items()
            if name.startswith("param_")
        }
        engine = self._clickhouse.engine
        database = self.headers.get("X-ClickHouse-Database") or self._parameters.get("database") or "default"
        if wanted.native is not None and self._clickhouse.fault is Fault.SWALLOWS:
            return Answer(data=b"", read_rows=0, written_rows=0)
        if wanted.native is None:
            return engine.run(
                wanted.statement, output=wanted.output, database=database, settings=settings, parameters=parameters
            )
        if not wanted.native:
            raise EngineError(f"Code: {NO_DATA}. DB::Exception: No data to insert. (NO_DATA_TO_INSERT)")
        with tempfile.NamedTemporaryFile(dir=self._clickhouse.inserts, suffix=".native") as file:
            file.write(wanted.native)
            file.flush()
            into = wanted.statement.removesuffix(" FORMAT Native")
            source = f"{into} SELECT * FROM file('{Path(file.name)}', 'Native')"  # noqa: S608 - a test's own
            return engine.run(source, database=database, settings=settings)

    def _wrapped(self, data: bytes, output: str) -> bytes:
        if output == "Native":
            data = native.for_revision(data, int(self._parameters.get("client_protocol_version", "0")))
        if data and self._parameters.get("compress") == "1":
            data = native.compressed(data)
        return data

    def _headers(self, code: int, answer: Answer | None) -> dict[str, str]:
        headers = {"X-ClickHouse-Server-Display-Name": "tests", "X-ClickHouse-Timezone": "UTC"}
        if query := self._parameters.get("query_id"):
            headers["X-ClickHouse-Query-Id"] = query
        if code:
            headers["X-ClickHouse-Exception-Code"] = str(code)
        if code == REQUIRED_PASSWORD:
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
        if answer:
            rows = {"read_rows": str(answer.read_rows), "written_rows": str(answer.written_rows)}
            headers["X-ClickHouse-Summary"] = json.dumps(rows)
        return headers

    def _send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
