"""Redaction, as far as it can be tested without a collector; tests/engine/test_redaction.py runs it."""

from __future__ import annotations

from typing import Any

import pytest

import otel
from tests.unit.otel.composed import composed

pytestmark = pytest.mark.unit


def statements(config: dict[str, Any]) -> str:
    return str(config["processors"]["transform/redaction"])


def test_keys_are_masked_and_content_is_removed_on_request() -> None:
    keys, content = (
        statements(composed("clickhouse", redaction=redaction))
        for redaction in (otel.Redaction.KEYS, otel.Redaction.CONTENT)
    )

    assert "sk-[A-Za-z0-9_-]" in keys
    assert "sk-[A-Za-z0-9_-]" in content
    assert "http[.]request[.]body" not in keys
    assert "http[.]request[.]body" in content
