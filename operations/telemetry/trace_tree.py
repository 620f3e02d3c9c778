"""Reads OTLP JSON as the collector's file exporter writes it, and builds trees of spans. Pure; no I/O."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ERROR_STATUS = 2
SETTLE_SECONDS = 2.0
"""After so long without a new span, a trace whose root has arrived counts as complete."""
GIVE_UP_SECONDS = 10.0
"""After so long without a new span, a trace counts as complete even without its root."""
_NO_PARENT = frozenset({"", "0000000000000000"})
_SHOWN = (
    "http.method",
    "http.request.method",
    "http.target",
    "http.route",
    "url.path",
    "http.status_code",
    "http.response.status_code",
    "agent_id",
    "agent.id",
    "llm.model",
    "gen_ai.request.model",
    "tool_name",
    "tool.name",
    "db.statement",
    "db.system",
    "exception.type",
    "error.type",
)
_LONGEST_VALUE = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One span."""

    trace_id: str
    span_id: str
    parent_id: str
    """Empty for a root."""
    name: str
    service: str
    start: int
    """Nanoseconds since the epoch."""
    end: int
    """Nanoseconds since the epoch."""
    failed: bool
    message: str
    attributes: Mapping[str, str]

    @property
    def milliseconds(self) -> float:
        """Duration."""
        return max(self.end - self.start, 0) / 1e6


def _value(raw: Mapping[str, Any]) -> str:
    for kind in ("stringValue", "intValue", "doubleValue", "boolValue"):
        if kind in raw:
            value = raw[kind]
            return str(value).lower() if isinstance(value, bool) else str(value)
    return json.dumps(next(iter(raw.values()), ""), separators=(",", ":"))


def _attributes(raw: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    return {one["key"]: _value(one.get("value") or {}) for one in raw or ()}


def _is_error(status: Mapping[str, Any]) -> bool:
    # Written as a number or as the enum's name, depending on the exporter's version.
    return status.get("code") in {ERROR_STATUS, str(ERROR_STATUS), "STATUS_CODE_ERROR"}


def parse_line(line: str) -> tuple[Span, ...]:
    """Return the spans of one line; none when it holds something else (metrics, logs, half a line)."""
    try:
        document = json.loads(line)
        return tuple(_spans(document))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()


def _spans(document: Mapping[str, Any]) -> Iterator[Span]:
    for resource in document.get("resourceSpans") or ():
        service = _attributes((resource.get("resource") or {}).get("attributes")).get("service.name", "")
        for scope in resource.get("scopeSpans") or ():
            for raw in scope.get("spans") or ():
                status = raw.get("status") or {}
                parent = raw.get("parentSpanId") or ""
                yield Span(
                    trace_id=raw["traceId"],
                    span_id=raw["spanId"],
                    parent_id="" if parent in _NO_PARENT else parent,
                    name=raw.get("name") or "",
                    service=service,
                    start=int(raw.get("startTimeUnixNano") or 0),
                    end=int(raw.get("endTimeUnixNano") or 0),
                    failed=_is_error(status),
                    message=status.get("message") or "",
                    attributes=_attributes(raw.get("attributes")),
                )


@dataclass(frozen=True, slots=True)
class Node:
    """A span and its children, by start time."""

    span: Span
    children: tuple[Node, ...]
    orphan: bool = False
    """Its parent was not recorded: it was dropped, or has not ended yet."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of one trace as trees: usually one, several when a parent is missing."""

    trace_id: str
    roots: tuple[Node, ...]
    size: int

    @property
    def failed(self) -> bool:
        """Whether any span of it failed."""
        return any(node.span.failed for node, _ in walk(self))

    @property
    def start(self) -> int:
        """Nanoseconds since the epoch."""
        return min(node.span.start for node in self.roots)


def build(spans: Collection[Span]) -> Trace:
    """Return the tree of the spans of one trace; a span that was delivered twice is in it once."""
    by_id = {span.span_id: span for span in spans}
    children: dict[str, list[Span]] = {}
    tops: list[Span] = []
    for span in sorted(by_id.values(), key=lambda one: (one.start, one.span_id)):
        if span.parent_id in by_id and span.parent_id != span.span_id:
            children.setdefault(span.parent_id, []).append(span)
        else:
            tops.append(span)
    placed: set[str] = set()

    def node(span: Span) -> Node:
        placed.add(span.span_id)
        below = [child for child in children.get(span.span_id, []) if child.span_id not in placed]
        return Node(span, tuple(node(child) for child in below), orphan=bool(span.parent_id))

    roots = [node(span) for span in tops]
    # Spans that name each other as parents have no root; broken data is shown, too.
    roots += [node(span) for span in by_id.values() if span.span_id not in placed]
    return Trace(next(iter(by_id.values())).trace_id, tuple(roots), len(by_id))


def walk(trace: Trace) -> Iterator[tuple[Node, int]]:
    """Yield every node with its depth, parents first."""
    stack = [(node, 0) for node in reversed(trace.roots)]
    while stack:
        node, depth = stack.pop()
        yield node, depth
        stack += [(child, depth + 1) for child in reversed(node.children)]


def duration(milliseconds: float) -> str:
    """Return a duration with a unit, such as `12 ms`."""
    if milliseconds < 1:
        return f"{milliseconds * 1000:.0f} µs"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f} s"


def key_attributes(span: Span) -> str:
    """Return the most informative attributes, in one line."""
    shown = []
    for key in _SHOWN:
        if key in span.attributes:
            value = " ".join(span.attributes[key].split())
            short = value if len(value) <= _LONGEST_VALUE else value[: _LONGEST_VALUE - 1] + "…"
            shown.append(f"{key}={short}")
    return " ".join(shown)


@dataclass
class Assembler:
    """Collects spans until a trace seems complete: its root has arrived, and then nothing more for a moment.

    Spans of one request arrive in several batches, children before their parents.
    """

    _spans: dict[str, list[Span]] = field(default_factory=dict)
    _touched: dict[str, float] = field(default_factory=dict)

    def add(self, spans: Collection[Span], now: float) -> None:
        """Add spans; `now` in seconds of any clock."""
        for span in spans:
            self._spans.setdefault(span.trace_id, []).append(span)
            self._touched[span.trace_id] = now

    def ready(self, now: float) -> tuple[Trace, ...]:
        """Return the traces that seem complete, in order of start, and forget them."""
        due = []
        for trace_id, spans in self._spans.items():
            quiet = now - self._touched[trace_id]
            has_root = any(not span.parent_id for span in spans)
            if quiet >= (SETTLE_SECONDS if has_root else GIVE_UP_SECONDS):
                due.append(trace_id)
        return self._take(due)

    def all(self) -> tuple[Trace, ...]:
        """Return all traces, complete or not, in order of start, and forget them."""
        return self._take(list(self._spans))

    def _take(self, trace_ids: Sequence[str]) -> tuple[Trace, ...]:
        traces = [build(self._spans.pop(trace_id)) for trace_id in trace_ids]
        for trace_id in trace_ids:
            del self._touched[trace_id]
        return tuple(sorted(traces, key=lambda trace: trace.start))
