"""`make docs`: writes what is generated in docs/ and README.md, or names what is stale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def pages(root: Path) -> Mapping[Path, str]:
    """Return the pages that are generated, in full or in part, each with the text that it should have."""
    from development import architecture_docs, configuration_docs

    generated = architecture_docs.parts()
    drawn = {
        page: architecture_docs.replaced((root / page).read_text(encoding="utf-8"), generated)
        for page in architecture_docs.PAGES
        if (root / page).is_file()
    }
    return {configuration_docs.PAGE: configuration_docs.render(), **drawn}


def stale(root: Path) -> Mapping[Path, str]:
    """Return the pages that are missing or out of date, with the text that they should have."""
    return {
        page: text
        for page, text in pages(root).items()
        if not (root / page).is_file() or (root / page).read_text(encoding="utf-8") != text
    }


def write(root: Path, found: Mapping[Path, str]) -> None:
    """Write pages."""
    for page, text in found.items():
        path = root / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
