"""Runs a program and shows its output as it comes, with a line of its own when the program is silent."""

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

from operations.console import terminal
from operations.console.redaction import redacted

SILENCE_SECONDS = 10.0
KEPT_LINES = 400
ONE_REQUEST_SECONDS = 1.0
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The result of a program."""

    code: int
    tail: str
    """The last lines of its output."""


def run(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    when_silent: Callable[[float], str] | None = None,
    omit: tuple[str, ...] = (),
    log: IO[str] | None = None,
    insist: signal.Signals = signal.SIGINT,
) -> Ended:
    """Run a program to its end, and show its output line by line. What is shown, logged and kept is redacted.

    Args:
        command: program and arguments; never a secret among them.
        directory: where to run it.
        environment: its full environment.
        when_silent: returns the line to show after `SILENCE_SECONDS` without output; it gets the seconds since
            the start. None: nothing is shown then.
        omit: beginnings of lines that are logged but not shown.
        log: gets every line too.
        insist: the signal for the program when it is asked to end a second time.

    Ctrl-C, SIGTERM and a closed terminal are passed on to the program, which then ends in its own way. It is never
    left running alone: an update that goes on unseen would hold its lock and block the next one.
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
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
    started = time.monotonic()
    kept: list[str] = []
    with _signals_passed_on(process, insist), _ended_at_last(process):
        while True:
            try:
                line = lines.get(timeout=SILENCE_SECONDS if when_silent else None)
            except queue.Empty:
                if when_silent:
                    terminal.say(when_silent(time.monotonic() - started))
                continue
            if line is None:
                break
            line = redacted(line)
            kept = [*kept[-KEPT_LINES:], line]
            if not line.startswith(omit):
                terminal.say(line)
            if log:
                log.write(line + "\n")
                log.flush()
    return Ended(code=process.wait(), tail="\n".join(kept))


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
def _signals_passed_on(process: subprocess.Popen[str], insist: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    asked: float | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        now = time.monotonic()
        # A signal to a group of processes may reach this one twice, for one request.
        again = asked is not None and now - asked > ONE_REQUEST_SECONDS
        asked = asked or now
        terminal.say(f"{signal.Signals(number).name} received: stopping cleanly (a second one stops at once)")
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(insist if again else signal.SIGINT)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
