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
ONE_WISH_SECONDS = 1.0
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
    when_silent: Callable[[float], str] | None = None,
    clean: Callable[[str], str] = lambda line: line,
    log: IO[str] | None = None,
    silence: float = SILENCE_SECONDS,
    insist: signal.Signals = signal.SIGINT,
) -> Ended:
    """Run a program to its end.

    Args:
        command: program and arguments; never a secret among them.
        directory: where to run it.
        environment: its whole environment.
        show: gets every line without its end.
        when_silent: gives the line to show after `silence` seconds without one; it gets the seconds since the
            start. None: silence is usual.
        clean: takes secrets out of a line, before it is shown or logged.
        log: gets every line too.
        silence: seconds.
        insist: what the program gets when it is asked to end once more.

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
    with _signals_passed_on(process, show, insist), _ended_at_last(process):
        while True:
            try:
                line = lines.get(timeout=silence if when_silent else None)
            except queue.Empty:
                if when_silent:
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
def _signals_passed_on(
    process: subprocess.Popen[str], show: Callable[[str], None], insist: signal.Signals
) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    asked: float | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        now = time.monotonic()
        # Whoever ends a whole group of processes may reach this one twice, by one wish.
        again = asked is not None and now - asked > ONE_WISH_SECONDS
        asked = asked or now
        show(f"{signal.Signals(number).name} received: asking it to stop in order (once more: at once)")
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(insist if again else signal.SIGINT)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
