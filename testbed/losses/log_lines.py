"""Writes numbered lines to a log file as a Letta server does; every written line counts as acknowledged."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

from testbed.losses.accounts import Sent
from testbed.otlp.items import RUN, SEQUENCE, Signal

LINES = "log lines"


class LogLines:
    """A thread that appends `rate` lines a second to `file` until it is stopped."""

    def __init__(self, file: Path, *, run: str, rate: float) -> None:
        self._file, self._run, self._rate = file, run, rate
        self._written = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="log lines", daemon=True)
        self._thread.start()

    def finish(self) -> Sent:
        """Stop writing, and return what was written."""
        self._stopping.set()
        self._thread.join()
        numbers = frozenset(range(self._written))
        return Sent(what=LINES, run=self._run, signal=Signal.LOGS, numbers=numbers, acknowledged=numbers)

    def _write_all(self) -> None:
        with self._file.open("a") as file:
            while not self._stopping.wait(1 / self._rate):
                line = {
                    "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                    "level": "INFO",
                    "message": f"line {self._written}",
                    RUN: self._run,
                    SEQUENCE: str(self._written),
                }
                file.write(json.dumps(line) + "\n")
                file.flush()
                self._written += 1
