"""What the program says that a profile does not guarantee."""

from __future__ import annotations

import pytest

import otel

pytestmark = pytest.mark.unit


def test_each_profile_and_version_states_its_limitations() -> None:
    prod = otel.PROFILES["clickhouse-prod"]

    assert any("without APM statistics" in text for text in otel.limitations(prod))
    assert any("never retries a batch of traces" in text for text in otel.limitations(prod, version="0.96.0"))
    assert any("Files have no queue" in text for text in otel.limitations(otel.PROFILES["file"]))
    assert any("wrong or expired key, are dropped" in text for text in otel.limitations(otel.PROFILES["signoz"]))
    (damaged,) = otel.limitations(otel.PROFILES["clickhouse"])
    assert "whose first pages are damaged" in damaged
