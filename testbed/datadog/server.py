"""Datadog's intake: it checks each request's key, path, content type and size, and decodes the payload.

    with Datadog(api_key="…") as datadog:
        datadog.url(gateway)               # for the exporter's `traces.endpoint`, `metrics.endpoint`, …
        ...
        sent <= {span.span_id for span in datadog.spans}

A payload that decodes is answered as Datadog does, any other is refused with 400; both are recorded. It accepts
what the collector's `datadog` exporter sends (the agent's paths, below /api) and OTLP over HTTP in protobuf
(`/v1/traces`, `/v1/metrics`, `/v1/logs`, key in `dd-api-key`). OTLP in JSON is not supported.
"""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from msgpack import UnpackException  # type: ignore[import-untyped]

from testbed.certificates import Certificate
from testbed.datadog import agent_payloads, otlp_payloads
from testbed.datadog.records import Log, Point, Record, Span
from testbed.stoppable_server import QuietHandler, StandIn

R = TypeVar("R", bound=Record)

JSON, PROTOBUF, MSGPACK = "application/json", "application/x-protobuf", "application/msgpack"


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """One path: a reader for each content type, the largest payload (bytes, unpacked), and the answer."""

    readers: Mapping[str, Callable[[bytes], Iterator[Record]]]
    limit: int
    status: int
    answer: bytes = b"{}"


INTAKES: Mapping[str, Intake] = {
    "/api/v0.2/traces": Intake(readers={PROTOBUF: agent_payloads.agent_traces}, limit=3_200_000, status=200),
    "/api/v0.2/stats": Intake(readers={MSGPACK: agent_payloads.agent_stats}, limit=3_200_000, status=200),
    "/api/v1/series": Intake(
        readers={JSON: agent_payloads.series_v1}, limit=5 << 20, status=202, answer=b'{"status": "ok"}'
    ),
    "/api/v2/series": Intake(
        readers={JSON: agent_payloads.series_v2_json, PROTOBUF: agent_payloads.series_v2},
        limit=5 << 20,
        status=202,
        answer=b'{"errors": []}',
    ),
    "/api/beta/sketches": Intake(readers={PROTOBUF: agent_payloads.sketches}, limit=5 << 20, status=202),
    "/api/v2/logs": Intake(readers={JSON: agent_payloads.logs_v2}, limit=5 << 20, status=202),
    "/v1/traces": Intake(readers={PROTOBUF: otlp_payloads.otlp_traces}, limit=15 << 20, status=200, answer=b""),
    "/v1/metrics": Intake(readers={PROTOBUF: otlp_payloads.otlp_metrics}, limit=15 << 20, status=200, answer=b""),
    "/v1/logs": Intake(readers={PROTOBUF: otlp_payloads.otlp_logs}, limit=5 << 20, status=200, answer=b""),
}

IGNORED = frozenset({"/intake", "/intake/", "/api/v1/check_run"})
"""Accepted and not read: host metadata, service checks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One accepted request: its path, headers (names in lower case) and records."""

    path: str
    headers: Mapping[str, str]
    records: tuple[Record, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """One refused request."""

    path: str
    status: int
    reason: str


class Datadog(StandIn):
    """The server. It accepts only `api_key`; with `certificate` it serves TLS."""

    def __init__(self, *, api_key: str, host: str = "127.0.0.1", certificate: Certificate | None = None) -> None:
        self.api_key = api_key
        super().__init__(host, _Handler, certificate=certificate)
        self._deliveries: list[Delivery] = []
        self._refusals: list[Refusal] = []
        self._came = threading.Condition()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Refuse connections until the end of the context."""
        self._server.stop()
        try:
            yield
        finally:
            self._server.start()

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """The accepted requests, oldest first."""
        with self._came:
            return tuple(self._deliveries)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The refused requests, oldest first."""
        with self._came:
            return tuple(self._refusals)

    @property
    def spans(self) -> tuple[Span, ...]:
        """All spans that were delivered."""
        return self._records(Span)

    @property
    def points(self) -> tuple[Point, ...]:
        """All metric points that were delivered."""
        return self._records(Point)

    @property
    def logs(self) -> tuple[Log, ...]:
        """All log records that were delivered."""
        return self._records(Log)

    def wait_until(self, reached: Callable[[Datadog], bool], *, seconds: float = 30.0) -> None:
        """Wait until `reached` is true, checking after each request; TimeoutError after `seconds`."""
        with self._came:
            if not self._came.wait_for(lambda: reached(self), timeout=seconds):
                raise TimeoutError(f"not within {seconds:g} s; refused: {self._refusals[-3:]}")

    def note(self, entry: Delivery | Refusal) -> None:
        """Record a request."""
        with self._came:
            if isinstance(entry, Delivery):
                self._deliveries.append(entry)
            else:
                self._refusals.append(entry)
            self._came.notify_all()

    def _records(self, kind: type[R]) -> tuple[R, ...]:
        records = (record for delivery in self.deliveries for record in delivery.records)
        return tuple(record for record in records if isinstance(record, kind))


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Handler(QuietHandler):
    def do_GET(self) -> None:  # noqa: N802
        path = urlsplit(self.path).path
        datadog = cast("Datadog", self.server.owner)
        if path != "/api/v1/validate":
            self._send(404, b'{"errors": ["Not found"]}')
        elif self.headers.get("DD-API-KEY") == datadog.api_key:
            self._send(200, b'{"valid": true}')
        else:
            self._send(403, b'{"errors": ["Forbidden"]}')

    def do_POST(self) -> None:  # noqa: N802
        datadog = cast("Datadog", self.server.owner)
        path = urlsplit(self.path).path
        body = self.read_body()
        try:
            self._check_key(datadog)
            if path in IGNORED:
                self._send(202, b"{}")
                return
            intake, records = self._read(path, body)
        except _RefusedError as error:
            datadog.note(Refusal(path=path, status=error.status, reason=str(error)))
            self._send(error.status, json.dumps({"errors": [str(error)]}).encode())
            return
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() != "dd-api-key"}
        datadog.note(Delivery(path=path, headers=headers, records=records))
        self._send(intake.status, intake.answer)

    def _check_key(self, datadog: Datadog) -> None:
        if self.headers.get("DD-API-KEY") != datadog.api_key:
            raise _RefusedError(403, "Forbidden")

    def _read(self, path: str, body: bytes) -> tuple[Intake, tuple[Record, ...]]:
        intake = INTAKES.get(path)
        if intake is None:
            raise _RefusedError(404, "Not found")
        kind = self.headers.get_content_type()
        if kind not in intake.readers:
            raise _RefusedError(415, f"content type {kind}")
        try:
            plain = _unpacked(self.headers.get("Content-Encoding", "identity"), body)
            if len(plain) > intake.limit:
                raise _RefusedError(413, f"Payload too large: {len(plain)} bytes")
            return intake, tuple(intake.readers[kind](plain))
        except (DecodeError, UnpackException, ValueError, KeyError, TypeError, OSError, zlib.error) as error:
            raise _RefusedError(400, f"cannot be read: {error!r}") from error

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _unpacked(encoding: str, body: bytes) -> bytes:
    match encoding:
        case "gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
        case "identity" | "":
            return body
        case other:
            raise _RefusedError(415, f"content encoding {other}")
