"""Reads what the collector's file exporter wrote (OTLP as JSON, one batch a line) as flat spans.

Letta 0.16.8 makes two spans named `GET /v1/…` for a request: the root has only `http.status_code`; its child
of the same name has `http.method`, `http.url` and the user agent as `client`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One span. Ids are lower-case hex, `parent_id` is empty for a root; times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start: int
    end: int
    status: int
    scope: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]


def read(path: Path) -> list[Span]:
    """Give the spans in a file; an unfinished last line is left for the next reading."""
    return list(parse(path.read_text()))


def parse(text: str) -> Iterator[Span]:
    """Give the spans in the text of such a file. A broken line that is not the last one raises ValueError."""
    for line in text.splitlines(keepends=True):
        if line.strip() and line.endswith("\n"):
            yield from _batch(json.loads(line))


def items(text: str, kind: str) -> Iterator[Mapping[str, Any]]:
    """Give all of a kind (`logRecords`, `metrics`) as they are; an unfinished last line is left out."""
    for line in text.splitlines(keepends=True):
        batch = json.loads(line) if line.endswith("\n") else {}
        for resource in (one for resources in batch.values() for one in resources):
            for scope in (one for key, scopes in resource.items() if key.startswith("scope") for one in scopes):
                yield from scope.get(kind, ())


def find(
    spans: Iterable[Span],
    *,
    name: str | None = None,
    trace_id: str | None = None,
    attributes: Mapping[str, Any] = MappingProxyType({}),
) -> list[Span]:
    """Give the spans that have all of this."""
    return [
        span
        for span in spans
        if (name is None or span.name == name)
        and (trace_id is None or span.trace_id == trace_id)
        and all(key in span.attributes and span.attributes[key] == value for key, value in attributes.items())
    ]


def descendants(spans: Iterable[Span], root: Span) -> list[Span]:
    """Give the spans below `root`, parents before children, wherever in the file they are."""
    below: dict[str, list[Span]] = {}
    for span in spans:
        if span.trace_id == root.trace_id:
            below.setdefault(span.parent_id, []).append(span)
    found = list(below.get(root.span_id, ()))
    for span in found:
        found.extend(below.get(span.span_id, ()))
    return found


def _batch(batch: Mapping[str, Any]) -> Iterator[Span]:
    for resource in batch.get("resourceSpans", ()):
        described = _attributes(resource.get("resource", {}))
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                yield Span(
                    trace_id=span["traceId"],
                    span_id=span["spanId"],
                    parent_id=span.get("parentSpanId", ""),
                    name=span.get("name", ""),
                    kind=span.get("kind", 0),
                    start=int(span.get("startTimeUnixNano", 0)),
                    end=int(span.get("endTimeUnixNano", 0)),
                    status=span.get("status", {}).get("code", 0),
                    scope=scope.get("scope", {}).get("name", ""),
                    attributes=_attributes(span),
                    resource=described,
                )


def _attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {item["key"]: _value(item.get("value", {})) for item in holder.get("attributes", ())}


def _value(value: Mapping[str, Any]) -> Any:
    """Decode an OTLP value, whose 64-bit integers are text in JSON."""
    match value:
        case {"intValue": number}:
            return int(number)
        case {"stringValue": plain} | {"boolValue": plain} | {"doubleValue": plain}:
            return plain
        case {"bytesValue": encoded}:
            return base64.b64decode(encoded)
        case {"arrayValue": array}:
            return [_value(item) for item in array.get("values", ())]
        case {"kvlistValue": items}:
            return {item["key"]: _value(item.get("value", {})) for item in items.get("values", ())}
        case _:
            return None
