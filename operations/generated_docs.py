"""`make docs`: writes the generated pages of docs/, or says which are stale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from operations.checkout import ROOT


def _configuration() -> str:
    from operations import configuration_docs

    return configuration_docs.render()


def pages() -> Mapping[Path, Callable[[], str]]:
    """Give the generated pages, each with what writes it."""
    return {Path("docs") / "configuration.md": _configuration}


def docs(*, check: bool, root: Path = ROOT) -> bool:
    """Write the pages that changed, or with `check` only name them; give whether all is as it should be."""
    stale = []
    for page, write in pages().items():
        path = root / page
        content = write()
        if path.is_file() and path.read_text(encoding="utf-8") == content:
            continue
        stale.append(str(page))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    if not stale:
        print("the generated pages are up to date")
    elif check:
        print(f"stale: {', '.join(stale)}; `make docs` writes them anew")
    else:
        print(f"written: {', '.join(stale)}")
    return not (check and stale)
