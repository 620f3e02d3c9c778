"""A ClickHouse engine (chdb) in a process of its own, queried over a socket; no HTTP and no passwords here.

    with Engine(folder) as engine:
        engine.run("SELECT 1", output="JSONEachRow").data

It has a process of its own because chdb has one session per process and starts its own threads, which rules out
a second engine and tests that fork. The process ends when its parent does. Statements run one after another. Data
is on disk: an engine on the same folder finds it again.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from toolchain.locations import ROOT

LONGEST_STOP = 10.0
"""Seconds that the process is given to end by itself."""

UNAVAILABLE = 210
"""ClickHouse's code for a server that cannot be reached (NETWORK_ERROR)."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


class EngineError(Exception):
    """ClickHouse's error for a statement: its code (`system.errors`) and its message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        found = re.match(r"Code: (\d+)", message)
        self.code = int(found[1]) if found else 1002


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The result of a statement in the requested format, and how many rows it read and wrote."""

    data: bytes
    read_rows: int
    written_rows: int


class Engine:
    """The engine's process; `folder` holds its data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process; the first statement waits until it is ready."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), str(self._folder)],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._connection = Connection(ours.detach())

    def stop(self) -> None:
        """End the process after the statement that it is running."""
        with self._lock:
            self._disconnect()
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(LONGEST_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def run(
        self,
        statement: str,
        *,
        output: str = "TabSeparated",
        database: str = "default",
        settings: Mapping[str, str] = _NOTHING,
        parameters: Mapping[str, str] = _NOTHING,
    ) -> Answer:
        """Run one statement. `parameters` fill `{name:Type}` in it, `settings` apply to it only.

        Raises EngineError with ClickHouse's code, which is UNAVAILABLE when the process does not run.
        """
        request = {
            "statement": statement,
            "output": output,
            "database": database,
            "settings": dict(settings),
            "parameters": dict(parameters),
        }
        with self._lock:
            if self._connection is None:
                raise EngineError(f"Code: {UNAVAILABLE}. DB::NetException: The engine is not running.")
            try:
                self._connection.send_bytes(json.dumps(request).encode())
                reply = json.loads(self._connection.recv_bytes())
                data = self._connection.recv_bytes()
            except (EOFError, OSError) as error:
                self._disconnect()
                message = f"Code: {UNAVAILABLE}. DB::NetException: The engine's process has ended."
                raise EngineError(message) from error
        if reply["error"] is not None:
            raise EngineError(reply["error"])
        return Answer(data=data, read_rows=reply["read_rows"], written_rows=reply["written_rows"])

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def serve(connection: Connection, folder: str) -> None:
    """Answer statements until the other side closes the connection."""
    from chdb import ChdbError  # heavy, and not needed by a process that only imports Engine
    from chdb.session import Session

    session: Any = Session(folder)  # type: ignore[no-untyped-call]
    at = "default"
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except EOFError:
            session.close()
            return
        reply: dict[str, Any] = {"error": None, "read_rows": 0, "written_rows": 0}
        data = b""
        try:
            if request["database"] != at:
                session.query(f"USE `{_escaped(request['database'])}`")
                at = request["database"]
            for name, value in request["settings"].items():
                session.query(f"SET `{_escaped(name)}` = '{_escaped(value)}'")
            result = session.query(request["statement"], request["output"], params=request["parameters"])
            data = bytes(result.bytes())
            reply |= {"read_rows": result.rows_read(), "written_rows": result.rows_written()}
        except ChdbError as error:
            reply["error"] = str(error)
        for name in request["settings"]:
            try:
                session.query(f"SET `{_escaped(name)}` = DEFAULT")
            except ChdbError:  # this is the one that could not be set
                continue
        connection.send_bytes(json.dumps(reply).encode())
        connection.send_bytes(data)


def _escaped(text: str) -> str:
    return re.sub(r"([\\'`])", r"\\\1", text)


if __name__ == "__main__":
    # Ctrl-C interrupts the tests, which then end this process in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(Connection(int(sys.argv[1])), sys.argv[2])
