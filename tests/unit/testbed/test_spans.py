"""Reading the collector's span files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.otlp import spans

pytestmark = pytest.mark.unit

TRACE = "0af7651916cd43dd8448eb211c80319c"


def raw(span_id: str, **values: Any) -> dict[str, Any]:
    attributes = [{"key": key.replace("_", "."), "value": value} for key, value in values.items()]
    return {"traceId": TRACE, "spanId": span_id, "name": "GET /", "attributes": attributes}


def line(*found: dict[str, Any]) -> str:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "letta-server"}}]}
    scopes = [{"scope": {"name": "letta.otel"}, "spans": list(found)}]
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]}) + "\n"


def test_a_span_is_returned_flat_with_its_resource() -> None:
    (span,) = spans.parse(line(raw("aa")))

    assert (span.trace_id, span.span_id, span.name) == (TRACE, "aa", "GET /")
    assert span.resource == {"service.name": "letta-server"}


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ({"stringValue": "x"}, "x"),
        ({"intValue": "9007199254740993"}, 9007199254740993),
        ({"doubleValue": 0.5}, 0.5),
        ({"boolValue": False}, False),
        ({"bytesValue": "aGk="}, b"hi"),
        ({"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "a"}]}}, [1, "a"]),
        ({"arrayValue": {}}, []),
        ({"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}}, {"k": True}),
        ({}, None),
    ],
)
def test_attribute_values_are_decoded(encoded: dict[str, Any], value: Any) -> None:
    (span,) = spans.parse(line(raw("aa", http_key=encoded)))

    assert span.attributes == {"http.key": value}


def test_a_line_that_is_still_being_written_is_skipped() -> None:
    assert [span.span_id for span in spans.parse(line(raw("aa")) + line(raw("bb"))[:-20])] == ["aa"]


def test_a_broken_line_in_the_middle_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        list(spans.parse("{broken\n" + line(raw("aa"))))
