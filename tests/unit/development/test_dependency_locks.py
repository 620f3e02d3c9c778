"""Refreshing the packages of images."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from development import dependency_locks

pytestmark = pytest.mark.unit


def test_refreshing_packages_writes_the_date(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    path = dependency_locks.refresh_packages(tmp_path, date(2026, 1, 2))
    assert path.read_text() == "2026-01-02\n"
