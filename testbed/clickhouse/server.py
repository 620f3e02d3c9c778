"""A ClickHouse server: a real engine (`testbed.clickhouse.engine`) behind ClickHouse's HTTP interface.

    with ClickHouse(folder, password="…") as clickhouse:
        url = clickhouse.url(gateway)      # CLICKHOUSE_ENDPOINT of a container whose network has this gateway
        ...
        clickhouse.ask("SELECT count() AS n FROM otel.otel_traces")     # past the network, faults and users
        with clickhouse.failing(Fault.REFUSES):
            ...
        clickhouse.accept("new password")  # from now on that one only

What speaks with it, and how it was seen to: the collector's exporter (clickhouse-go 2.43: hello query, DESCRIBE,
inserts in Native, with lz4 or without compression) and clickhouse-connect 0.10 (Letta's) and 1.12. Not there:
sessions, external tables, parallel or cancelled queries, rights (the user may do everything), clusters. One
statement runs at a time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testbed.certificates import Certificate
from testbed.clickhouse.engine import Engine
from testbed.clickhouse.http_interface import Fault, Handler, Request
from testbed.stoppable_server import StoppableServer

__all__ = ["ClickHouse", "Fault", "Request"]

LONGEST_DELAY = 120.0
"""Seconds after which a held answer goes out although nobody mended it, so that a failed test still ends."""


class ClickHouse:
    """The server. `folder` holds data, `certificate` makes it speak TLS."""

    def __init__(
        self,
        folder: Path,
        *,
        password: str,
        user: str = "default",
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: Certificate | None = None,
    ) -> None:
        self.user = user
        self.delay = LONGEST_DELAY
        self.engine = Engine(folder / "engine")
        self.inserts = folder / "inserts"
        self._passwords: tuple[str, ...] = (password,)
        self._fault: Fault | None = None
        self._mended = threading.Event()
        self._mended.set()
        self._requests: list[Request] = []
        self._came = threading.Condition()
        context = certificate.server_context() if certificate else None
        self._scheme = "https" if certificate else "http"
        self._server = StoppableServer((host, port), Handler, self, context=context)

    def __enter__(self) -> Self:
        self.inserts.mkdir(parents=True, exist_ok=True)
        self.engine.start()
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mended.set()
        self._server.close()
        self.engine.stop()

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return self._server.port

    def url(self, host: str = "127.0.0.1") -> str:
        """What a client that reaches this machine as `host` has to use as endpoint."""
        return f"{self._scheme}://{host}:{self.port}"

    def ask(
        self, statement: str, *, database: str = "default", parameters: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Run a statement on the engine itself and give its rows by column name; 64-bit integers are exact."""
        answer = self.engine.run(
            statement, output="JSONEachRow", database=database, parameters=parameters or {},
            settings={"output_format_json_quote_64bit_integers": "0"},
        )  # fmt: skip
        return [json.loads(line) for line in answer.data.splitlines()]

    def accept(self, *passwords: str) -> None:
        """Accept these passwords from now on and no others; several while clients change over."""
        self._passwords = passwords

    def accepts(self, user: str, password: str) -> bool:
        """Whether a client gets in."""
        return user == self.user and password in self._passwords

    @property
    def fault(self) -> Fault | None:
        """What is wrong with it now."""
        return self._fault

    def fail(self, fault: Fault) -> None:
        """Be broken from now on, instead of in the way before."""
        self.mend()
        self._fault = fault
        self._mended.clear()
        if fault is Fault.REFUSES:
            self._server.stop()

    def mend(self) -> None:
        """Be well again."""
        before, self._fault = self._fault, None
        self._mended.set()
        if before is Fault.REFUSES:
            self._server.start()

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Be broken within."""
        self.fail(fault)
        try:
            yield
        finally:
            self.mend()

    def pause(self) -> None:
        """Wait as a slow server does."""
        self._mended.wait(min(self.delay, LONGEST_DELAY))

    def crash(self) -> None:
        """Refuse connections, and end the engine in the middle of whatever it does."""
        self.fail(Fault.REFUSES)
        self.engine.kill()

    def recover(self) -> None:
        """Start the engine again on what it had stored, and accept connections."""
        self.engine.start()
        self.mend()

    @property
    def requests(self) -> tuple[Request, ...]:
        """All requests so far that came to an end, oldest first."""
        with self._came:
            return tuple(self._requests)

    def wait_for(self, wanted: Callable[[Request], bool], *, seconds: float = 30.0) -> Request:
        """Give the first request that is `wanted`, which may be still to come; TimeoutError after `seconds`."""
        with self._came:
            found = self._came.wait_for(lambda: [r for r in self._requests if wanted(r)], timeout=seconds)
        if not found:
            raise TimeoutError(f"no such request within {seconds:g} s")
        return found[0]

    def wait_until(self, reached: Callable[[], bool], *, seconds: float = 30.0) -> None:
        """Wait until something holds, looking after each request; TimeoutError after `seconds`."""
        with self._came:
            if not self._came.wait_for(reached, timeout=seconds):
                raise TimeoutError(f"not within {seconds:g} s; the last requests: {self._requests[-3:]}")

    def note(self, request: Request) -> None:
        """Record a request."""
        with self._came:
            self._requests.append(request)
            self._came.notify_all()
