"""Runs a program with its output shown as it comes, and says something when it says nothing."""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

SILENCE_SECONDS = 10.0
KEPT_LINES = 400
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a program ended."""

    code: int
    tail: str
    """Last lines of its output."""


def run(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    show: Callable[[str], None],
    when_silent: Callable[[float], str],
    clean: Callable[[str], str] = lambda line: line,
    log: IO[str] | None = None,
    silence: float = SILENCE_SECONDS,
) -> Ended:
    """Run a program to its end.

    Args:
        command: program and arguments; never a secret among them.
        directory: where to run it.
        environment: its whole environment.
        show: gets every line without its end.
        when_silent: gives the line to show after `silence` seconds without one; it gets the seconds since the
            start.
        clean: takes secrets out of a line, before it is shown or logged.
        log: gets every line too.
        silence: seconds.

    A Ctrl-C, a SIGTERM or a closed terminal is passed on to the program, which then ends in its own way. It is
    never left running alone: an update that nobody watches would hold its lock, and surprise the next one.
    """
    process = subprocess.Popen(
        list(command),
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # A group of its own: else Ctrl-C in a terminal reaches it twice, and twice means "die at once".
        start_new_session=True,
    )
    show = _until_nobody_reads(show)
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
    started = time.monotonic()
    kept: list[str] = []
    with _signals_passed_on(process, show), _ended_at_last(process):
        while True:
            try:
                line = lines.get(timeout=silence)
            except queue.Empty:
                show(when_silent(time.monotonic() - started))
                continue
            if line is None:
                break
            line = clean(line)
            kept = [*kept[-KEPT_LINES:], line]
            show(line)
            if log:
                log.write(line + "\n")
                log.flush()
    return Ended(code=process.wait(), tail="\n".join(kept))


def _until_nobody_reads(show: Callable[[str], None]) -> Callable[[str], None]:
    """Give a `show` that goes silent when the reader has gone (`make up | head`); the work goes on."""
    gone = False

    def careful(line: str) -> None:
        nonlocal gone
        if not gone:
            try:
                show(line)
            except OSError:
                gone = True

    return careful


@contextlib.contextmanager
def _ended_at_last(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        process.wait()
        raise


def _pump(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    for line in process.stdout or ():
        lines.put(line.rstrip("\r\n"))
    lines.put(None)


@contextlib.contextmanager
def _signals_passed_on(process: subprocess.Popen[str], show: Callable[[str], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(number: int, _frame: FrameType | None) -> None:
        show(f"{signal.Signals(number).name} received: asking it to stop in order (once more: at once)")
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
