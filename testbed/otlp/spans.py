"""Reads the files of the collector's file exporter (OTLP as JSON, one batch a line) as flat spans."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One span. Ids are lower-case hex."""

    trace_id: str
    span_id: str
    name: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]


def parse(text: str) -> Iterator[Span]:
    """Yield the spans in a file's text, without an unfinished last line; ValueError for any other broken one."""
    for line in text.splitlines(keepends=True):
        if line.strip() and line.endswith("\n"):
            yield from _batch(json.loads(line))


def items(text: str, kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield all items of a kind (`logRecords`, `metrics`) unchanged; an unfinished last line is skipped."""
    for line in text.splitlines(keepends=True):
        batch = json.loads(line) if line.endswith("\n") else {}
        for resource in (one for resources in batch.values() for one in resources):
            for scope in (one for key, scopes in resource.items() if key.startswith("scope") for one in scopes):
                yield from scope.get(kind, ())


def _batch(batch: Mapping[str, Any]) -> Iterator[Span]:
    for resource in batch.get("resourceSpans", ()):
        described = _attributes(resource.get("resource", {}))
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                yield Span(
                    trace_id=span["traceId"],
                    span_id=span["spanId"],
                    name=span.get("name", ""),
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
