"""`make traces`: shows what the collector recorded as trees, and goes on with what comes."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

import catalogue
from operations.console import terminal
from operations.console.errors import OperationError
from operations.engine.protocol import Engine, FileStream
from operations.stack.target import Target
from operations.telemetry.trace_tree import Assembler, Node, Trace, duration, key_attributes, parse_line, walk

TRACES_FILE = "traces.json"
POLL_SECONDS = 0.5
MOST_LINES = 20_000
"""Lines looked at of what is recorded; each is up to a second of spans."""
OVERLAP_LINES = 200


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Cut chunks that come from a stream into whole lines."""
    rest = b""
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


def render(trace: Trace) -> Iterator[tuple[str, str]]:
    """Give a trace as lines of text, each with the style it is shown in."""
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
    """Write a trace."""
    terminal.say_styled((*render(trace), ("", "")))


def _elsewhere(target: Target) -> str:
    """Say what the stack's profile does instead, where it is deployed."""
    reason = target.state().outputs.get("telemetryReason")
    return f" ({reason})" if reason else ": its volume is not there"


def _source(target: Target, engine: Engine) -> tuple[str, str]:
    """Give the volume with the traces, and an image to read it with."""
    volume = f"letta-{target.stack}-traces"
    if not any(one.name == volume for one in engine.volumes(target.stack)):
        raise OperationError(
            "this stack records no traces in files" + _elsewhere(target),
            where=f"volume {volume}",
            fix=[f"`make up STACK={target.stack}`", "docs/telemetry.md says which profiles write files"],
        )
    return volume, reading_image(target, engine)


def reading_image(target: Target, engine: Engine) -> str:
    """Give an image to read volumes with.

    Raises:
        OperationError: when none is there.
    """
    present = {tag for image in engine.images() for tag in image.tags}
    deployed = target.state().outputs.get("images") or {}
    for image in (deployed.get("base"), catalogue.DEBIAN_IMAGE):
        if image in present:
            return str(image)
    raise OperationError(
        "the image to read volumes with is not there", where=catalogue.DEBIAN_IMAGE, fix=["`make toolchain`"]
    )


def recorded(target: Target, engine: Engine, *, last: int) -> FileStream:
    """Give the last lines that were recorded; see `_source` for what it raises."""
    volume, image = _source(target, engine)
    return engine.read_file(
        image=image, stack=target.stack, volume=volume, path=TRACES_FILE, lines=last, follow=False
    )


def traces(target: Target, *, follow: bool, last: int, errors_only: bool) -> None:
    """Show the last recorded traces, and with `follow` those that come, until Ctrl-C.

    Raises:
        OperationError: when the stack records none.
    """
    engine = target.engine()
    volume, image = _source(target, engine)

    def read(count: int, *, follow: bool) -> FileStream:
        return engine.read_file(
            image=image, stack=target.stack, volume=volume, path=TRACES_FILE, lines=count, follow=follow
        )

    def wanted(found: Iterable[Trace]) -> list[Trace]:
        return [trace for trace in found if trace.failed or not errors_only]

    assembler = Assembler()
    recent: deque[str] = deque(maxlen=OVERLAP_LINES)
    for line in lines(read(MOST_LINES, follow=False)):
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
    # What was written between the two looks must not be missed, so the second begins before the end of the first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As for Ctrl-C: whatever ends this must not leave the reading container behind.
        signal.signal(number, signal.default_int_handler)
    coming = read(OVERLAP_LINES, follow=True)
    try:
        for trace in settled(coming, known=frozenset(recent)):
            if wanted([trace]):
                show(trace)
    except KeyboardInterrupt:
        terminal.say()


def settled(coming: FileStream, *, known: Collection[str]) -> Iterator[Trace]:
    """Give the traces of a stream as they become complete, without the lines that are known."""
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
