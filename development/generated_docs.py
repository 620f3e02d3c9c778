"""`make docs`: writes what is generated in docs/ and README.md, or says what is stale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from operations.stack.checkout import ROOT


def pages(root: Path) -> Mapping[Path, str]:
    """Give the pages that are generated, wholly or in part, each with the text that it should have."""
    from development import architecture_docs, configuration_docs

    generated = architecture_docs.parts()
    drawn = {
        page: architecture_docs.replaced((root / page).read_text(encoding="utf-8"), generated)
        for page in architecture_docs.PAGES
        if (root / page).is_file()
    }
    return {Path("docs") / "configuration.md": configuration_docs.render(), **drawn}


def docs(*, check: bool, root: Path = ROOT) -> bool:
    """Write the pages that changed, or with `check` only name them; give whether all is as it should be."""
    stale = []
    for page, text in pages(root).items():
        path = root / page
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(page))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if not stale:
        print("what is generated is up to date")
    elif check:
        print(f"stale: {', '.join(stale)}; `make docs` writes it anew")
    else:
        print(f"written: {', '.join(stale)}")
    return not (check and stale)
