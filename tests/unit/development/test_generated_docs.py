"""Generated pages are current, and `make docs` writes those that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from development import architecture_docs, configuration_docs, generated_docs
from development.architecture_docs import NOTE
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit


def test_all_generated_pages_are_current_and_show_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = architecture_docs.parts()
    monkeypatch.setattr(architecture_docs, "parts", lambda: parts)
    assert list(generated_docs.stale(ROOT)) == [], "run `make docs`"
    shown = "".join((ROOT / page).read_text() for page in architecture_docs.PAGES)
    assert [name for name, content in parts.items() if content not in shown] == []


def test_stale_and_missing_pages_are_named_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architecture_docs, "parts", lambda: {"picture": "new"})
    (tmp_path / "README.md").write_text(f"<!-- picture: {NOTE} -->\nold\n<!-- end of picture -->\n")
    found = generated_docs.stale(tmp_path)
    assert set(found) == {Path("README.md"), configuration_docs.PAGE}
    generated_docs.write(tmp_path, found)
    assert "new" in (tmp_path / "README.md").read_text()
    assert generated_docs.stale(tmp_path) == {}
