"""Reading the collector's span files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.otlp import spans

pytestmark = pytest.mark.unit

TRACE = "0af7651916cd43dd8448eb211c80319c"


def raw(span_id: str, parent: str = "", name: str = "GET /", **values: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": name,
        "kind": 2,
        "startTimeUnixNano": "1700000000000000001",
        "endTimeUnixNano": "1700000000000000005",
        "attributes": [{"key": key.replace("_", "."), "value": value} for key, value in values.items()],
        "status": {"code": 1},
    }


def line(*found: dict[str, Any]) -> str:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "letta-server"}}]}
    scopes = [{"scope": {"name": "letta.otel"}, "spans": list(found)}]
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]}) + "\n"


def test_a_span_is_given_flat_with_its_resource_and_scope(tmp_path: Path) -> None:
    (tmp_path / "traces.json").write_text(line(raw("aa")))

    (span,) = spans.read(tmp_path / "traces.json")

    assert (span.trace_id, span.span_id, span.parent_id, span.name) == (TRACE, "aa", "", "GET /")
    assert span.end - span.start == 4
    assert (span.kind, span.status, span.scope) == (2, 1, "letta.otel")
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
    (span,) = spans.parse(line(raw("aa", key=encoded)))

    assert span.attributes == {"key": value}


def test_a_line_that_is_still_being_written_is_left_out() -> None:
    assert [span.span_id for span in spans.parse(line(raw("aa")) + line(raw("bb"))[:-20])] == ["aa"]


def test_a_broken_line_in_the_middle_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        list(spans.parse("{broken\n" + line(raw("aa"))))


def test_spans_are_found_by_all_that_is_asked() -> None:
    status = {"intValue": "200"}
    found = list(spans.parse(line(raw("aa", http_status=status), raw("bb"), raw("cc", name="POST /"))))

    assert [s.span_id for s in spans.find(found, name="GET /")] == ["aa", "bb"]
    assert [s.span_id for s in spans.find(found, trace_id=TRACE, attributes={"http.status": 200})] == ["aa"]
    assert spans.find(found, trace_id="00") == []
    assert spans.find(found, attributes={"absent": None}) == []


def test_descendants_are_found_across_batches() -> None:
    found = list(spans.parse(line(raw("dd", "bb"), raw("bb", "aa")) + line(raw("ee", "zz"), raw("aa"))))
    root = spans.find(found)[-1]

    assert [span.span_id for span in spans.descendants(found, root)] == ["bb", "dd"]
