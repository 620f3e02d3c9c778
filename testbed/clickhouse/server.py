"""A ClickHouse server: a real engine (`testbed.clickhouse.engine`) behind ClickHouse's HTTP interface.

    with ClickHouse(folder, password="…") as clickhouse:
        url = clickhouse.url(gateway)      # CLICKHOUSE_ENDPOINT of a container whose network has this gateway
        ...
        clickhouse.ask("SELECT count() AS n FROM otel.otel_traces")     # bypasses network, faults and users
        with clickhouse.failing(Fault.REFUSES):
            ...
        clickhouse.accept("new password")  # the only one from now on

Clients that it was tested with: the collector's exporter (clickhouse-go 2.43: hello query, DESCRIBE, inserts in
Native, with lz4 or without compression) and clickhouse-connect 0.10 (Letta's) and 1.12. Not supported: sessions,
external tables, parallel or cancelled queries, access rights (the user may do everything), clusters. One
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
from testbed.stoppable_server import StandIn

__all__ = ["ClickHouse", "Fault", "Request"]

USER = "default"
LONGEST_DELAY = 120.0
"""Seconds after which a delayed answer is sent even if the fault is not over, so that a failed test still ends."""


class ClickHouse(StandIn):
    """The server. `folder` holds its data; with `certificate` it serves TLS."""

    def __init__(
        self,
        folder: Path,
        *,
        password: str,
        host: str = "127.0.0.1",
        certificate: Certificate | None = None,
    ) -> None:
        super().__init__(host, Handler, certificate=certificate)
        self.delay = LONGEST_DELAY
        self.engine = Engine(folder / "engine")
        self.inserts = folder / "inserts"
        self._passwords: tuple[str, ...] = (password,)
        self._fault: Fault | None = None
        self._recovered = threading.Event()
        self._recovered.set()
        self._requests: list[Request] = []
        self._came = threading.Condition()

    def __enter__(self) -> Self:
        self.inserts.mkdir(parents=True, exist_ok=True)
        self.engine.start()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._recovered.set()
        super().__exit__(kind, error, trace)
        self.engine.stop()

    def ask(self, statement: str, *, parameters: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Run a statement on the engine itself; return its rows by column name, with exact 64-bit integers."""
        answer = self.engine.run(
            statement,
            output="JSONEachRow",
            parameters=parameters or {},
            settings={"output_format_json_quote_64bit_integers": "0"},
        )
        return [json.loads(line) for line in answer.data.splitlines()]

    def accept(self, *passwords: str) -> None:
        """Accept these passwords and no others from now on; several while clients change over."""
        self._passwords = passwords

    def accepts(self, user: str, password: str) -> bool:
        """Return whether the credentials are right."""
        return user == USER and password in self._passwords

    @property
    def fault(self) -> Fault | None:
        """The current fault, or None."""
        return self._fault

    def fail(self, fault: Fault) -> None:
        """Show this fault from now on, and no other."""
        self.recover()
        self._fault = fault
        self._recovered.clear()
        if fault is Fault.REFUSES:
            self._server.stop()

    def recover(self) -> None:
        """End the fault."""
        before, self._fault = self._fault, None
        self._recovered.set()
        if before is Fault.REFUSES:
            self._server.start()

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Show a fault until the end of the context."""
        self.fail(fault)
        try:
            yield
        finally:
            self.recover()

    def pause(self) -> None:
        """Wait for `delay` seconds, or until the fault is over."""
        self._recovered.wait(min(self.delay, LONGEST_DELAY))

    @property
    def requests(self) -> tuple[Request, ...]:
        """All completed requests, oldest first."""
        with self._came:
            return tuple(self._requests)

    def wait_for(self, wanted: Callable[[Request], bool], *, seconds: float = 30.0) -> Request:
        """Return the first request, past or future, that is `wanted`; TimeoutError after `seconds`."""
        with self._came:
            found = self._came.wait_for(lambda: [r for r in self._requests if wanted(r)], timeout=seconds)
        if not found:
            raise TimeoutError(f"no such request within {seconds:g} s")
        return found[0]

    def wait_until(self, reached: Callable[[], bool], *, seconds: float = 30.0) -> None:
        """Wait until `reached` is true, checking after each request; TimeoutError after `seconds`."""
        with self._came:
            if not self._came.wait_for(reached, timeout=seconds):
                raise TimeoutError(f"not within {seconds:g} s; the last requests: {self._requests[-3:]}")

    def note(self, request: Request) -> None:
        """Record a request."""
        with self._came:
            self._requests.append(request)
            self._came.notify_all()
