"""The log file of a run of Pulumi, in the user's state folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from operations.console import terminal
from toolchain import locations


def _new_file(verb: str, stack: str) -> Path:
    """Create the file; only its owner may read it."""
    folder = locations.private_folder(locations.logs())
    path = folder / f"{time.strftime('%Y%m%dT%H%M%S')}-{verb}-{stack}.log"
    path.touch(mode=0o600)
    return path


@contextmanager
def run_log(verb: str, stack: str) -> Iterator[IO[str]]:
    """Open the log of a run, and say where it is. `process.run` writes to it, without secrets."""
    path = _new_file(verb, stack)
    terminal.say(f"pulumi {verb}, stack {stack} (log: {path})")
    with path.open("a", encoding="utf-8") as file:
        yield file
