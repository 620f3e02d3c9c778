"""Which code may import tests, the testbed and benchmarks."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

PRODUCT = (
    *("__main__.py", "catalogue.py", "components", "development"),
    *("operations", "otel", "runtime", "settings", "toolchain"),
)
FORBIDDEN = {
    "testbed": {"tests", "benchmarks"},
    "benchmarks": {"tests"},
    **{place: {"tests", "testbed", "benchmarks"} for place in PRODUCT},
}


def _imported(file: Path) -> set[str]:
    """Return the top-level names of the modules that a file imports."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("place", FORBIDDEN)
def test_no_module_imports_what_its_place_must_not_import(place: str) -> None:
    path = ROOT / place
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))

    assert files
    assert {
        str(file.relative_to(ROOT)): found for file in files if (found := _imported(file) & FORBIDDEN[place])
    } == {}
