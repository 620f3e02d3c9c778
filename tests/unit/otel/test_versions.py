"""Collector versions: their order, and their known vulnerabilities."""

from __future__ import annotations

import pytest

import otel

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("older", "newer"), [("0.96.0", "0.149.0"), ("0.149.0", "0.149.1"), ("0.149.9", "1.0.0")])
def test_versions_are_ordered_by_number_not_by_text(older: str, newer: str) -> None:
    assert otel.CollectorVersion.parse(older) < otel.CollectorVersion.parse(newer)
    assert str(otel.CollectorVersion.parse(newer)) == newer


def test_every_version_lists_its_known_vulnerabilities() -> None:
    assert set(otel.VULNERABILITIES) == set(otel.VERSIONS)
    assert len(otel.VULNERABILITIES["0.96.0"]) == 2
