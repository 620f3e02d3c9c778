"""Commands that never outlive this run: each has its own process group, which is ended as a group."""

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
    """A command failed; the message ends with the end of its output."""


def run(
    command: list[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    given: str | None = None,
    seconds: float = 1800,
) -> tuple[int, str]:
    """Run a command, and return its exit code and output.

    Raises:
        subprocess.TimeoutExpired: when it takes longer than `seconds`; then it is ended.
    """
    # A file and not a pipe: a process that the command leaves running could keep a pipe open.
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
    """Run a command, and return the seconds that it took.

    Raises:
        CommandFailedError: when it fails.
    """
    started = time.monotonic()
    code, output = run(command, directory=directory, environment=environment)
    took = time.monotonic() - started
    if code:
        raise CommandFailedError(f"{shlex.join(command)} exited with code {code}:\n{output[-SHOWN:]}")
    return took


def _stop(process: subprocess.Popen[str]) -> None:
    """End a command as Ctrl-C does, so that Pulumi finishes what it has begun; then kill what is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Make signals end this process by exceptions, so that it removes what it created."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    # A shell's background jobs ignore SIGINT, and so would their commands, which could not be ended in order.
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore further signals until the end of the context: removal must complete."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # A handler and not SIG_IGN, which child processes would inherit.
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
