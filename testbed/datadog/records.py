"""What Datadog's payloads contain, as flat records. Ids are lower-case hex.

Datadog identifies a trace by the lower 64 bits of its id; `otel_trace_id` is the full id, if the payload has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One span; `parent_id` is empty for a root."""

    trace_id: str
    otel_trace_id: str
    span_id: str
    parent_id: str
    tags: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class StatsGroup:
    """APM statistics: how often an operation was done."""

    service: str
    name: str
    hits: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A metric's value. `kind` is its type: gauge, count, rate, distribution, delta, …."""

    metric: str
    kind: str
    value: float
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """One log record; the ids are empty for a record outside of any trace."""

    message: str
    trace_id: str
    otel_trace_id: str
    span_id: str
    attributes: Mapping[str, Any]


Record = Span | StatsGroup | Point | Log
