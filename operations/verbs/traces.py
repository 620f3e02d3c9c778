"""`make traces`: shows recorded traces as trees, and follows new ones."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from operations.console import terminal
from operations.engine.protocol import Output
from operations.stack.target import Target
from operations.telemetry.trace_files import lines, traces_file
from operations.telemetry.trace_tree import Assembler, Node, Trace, duration, key_attributes, parse_line, walk

POLL_SECONDS = 0.5
MOST_LINES = 20_000
"""Recorded lines that are read; each is up to a second of spans."""
OVERLAP_LINES = 200


def render(trace: Trace) -> Iterator[tuple[str, str]]:
    """Yield a trace as lines of text, each with the style that it is shown in."""
    when = datetime.fromtimestamp(trace.start / 1e9).astimezone().strftime("%H:%M:%S")
    services = ", ".join(sorted({node.span.service for node, _ in walk(trace) if node.span.service}))
    yield f"{when}  trace {trace.trace_id}  {trace.size} spans  {services}", "bold"
    for root in trace.roots:
        yield from _render(root, "", "")


def _render(node: Node, first: str, rest: str) -> Iterator[tuple[str, str]]:
    span = node.span
    parts = [f"{first}{span.name}", duration(span.milliseconds)]
    if span.failed:
        parts.append(f"ERROR {span.message}".rstrip())
    if node.orphan and not first:
        parts.append("(its parent was not recorded)")
    attributes = key_attributes(span)
    if attributes:
        parts.append(attributes)
    yield "  ".join(parts), "red" if span.failed else ""
    for number, child in enumerate(node.children):
        last = number == len(node.children) - 1
        yield from _render(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))


def show(trace: Trace) -> None:
    """Show a trace."""
    terminal.say_styled((*render(trace), ("", "")))


def traces(target: Target, *, follow: bool, last: int, errors_only: bool) -> None:
    """Show the last recorded traces, and with `follow` new ones until Ctrl-C.

    Raises:
        OperationError: when the stack records none in files.
    """
    file = traces_file(target, target.engine())

    def wanted(found: Iterable[Trace]) -> list[Trace]:
        return [trace for trace in found if trace.failed or not errors_only]

    assembler = Assembler()
    recent: deque[str] = deque(maxlen=OVERLAP_LINES)
    for line in lines(file.tail(MOST_LINES)):
        recent.append(line)
        assembler.add(parse_line(line), 0.0)
    found = wanted(assembler.all())
    for trace in found[max(len(found) - last, 0) :]:
        show(trace)
    if not follow:
        if not found:
            terminal.say("no traces yet" if not errors_only else "no traces with errors")
        return
    terminal.say_styled([(f"({len(found)} recorded; following, Ctrl-C ends)", "")])
    # What is written between the two reads must not be missed, so the second begins before the end of the first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As for Ctrl-C: whatever ends this must remove the container that reads.
        signal.signal(number, signal.default_int_handler)
    coming = file.tail(OVERLAP_LINES, follow=True)
    try:
        for trace in settled(coming, known=frozenset(recent)):
            if wanted([trace]):
                show(trace)
    except KeyboardInterrupt:
        terminal.say()


def settled(coming: Output, *, known: Collection[str]) -> Iterator[Trace]:
    """Yield the traces of a stream as they become complete, without the lines that are known."""
    arrived: queue.Queue[str | None] = queue.Queue()

    def pump() -> None:
        try:
            for line in lines(coming):
                arrived.put(line)
        finally:
            arrived.put(None)

    threading.Thread(target=pump, daemon=True).start()
    assembler = Assembler()
    more = True
    try:
        while more:
            try:
                line = arrived.get(timeout=POLL_SECONDS)
            except queue.Empty:
                line = ""
            more = line is not None
            if line and line not in known:
                assembler.add(parse_line(line), time.monotonic())
            yield from assembler.ready(time.monotonic())
        yield from assembler.all()
    finally:
        coming.close()
