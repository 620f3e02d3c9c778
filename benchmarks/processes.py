"""Commands that never outlive this run: each in a process group of its own, ended with everything it started."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SHOWN = 4000
_STOP_SECONDS = 60.0


class CommandFailedError(RuntimeError):
    """A command that had to work did not; the message ends with what it said last."""


def run(
    command: list[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    given: str | None = None,
    seconds: float = 1800,
) -> tuple[int, str]:
    """Run a command, and give its exit code and everything that it wrote.

    Raises:
        subprocess.TimeoutExpired: when it takes longer than `seconds`; it is ended then.
    """
    # A file and no pipe: what a command leaves running may hold it open, and nobody waits for that.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.PIPE if given is not None else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            process.communicate(given, timeout=seconds)
        except BaseException:
            _stop(process)
            raise
        output.seek(0)
        return process.returncode, output.read()


def timed(command: list[str], *, directory: Path, environment: Mapping[str, str]) -> float:
    """Run a command that has to work, and give the seconds that it took.

    Raises:
        CommandFailedError: when it fails.
    """
    started = time.monotonic()
    code, output = run(command, directory=directory, environment=environment)
    took = time.monotonic() - started
    if code:
        raise CommandFailedError(f"{shlex.join(command)} ended with {code}:\n{output[-SHOWN:]}")
    return took


def _stop(process: subprocess.Popen[str]) -> None:
    """End a command as Ctrl-C would, which lets Pulumi finish what it has begun; then kill what is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let signals end this process as exceptions do, so that what it made is removed."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    # A shell's background jobs ignore it, and so would every command, which could not be ended in order then.
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Take no notice of further signals meanwhile: removing must come to its end."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # A handler and not SIG_IGN, which programs started meanwhile would inherit.
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
