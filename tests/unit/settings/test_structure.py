"""How the modules of settings depend on each other, and who makes settings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from settings.values import PROJECT_ROOT

pytestmark = pytest.mark.unit

FOLDER = PROJECT_ROOT / "settings"
MODULES = {f"settings.{path.stem}": path for path in FOLDER.glob("*.py") if path.stem != "__init__"}


def _imports(path: Path) -> Iterator[str]:
    """Modules of settings that a module imports: at its top, in functions, and for types only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name in MODULES)


def test_no_module_imports_one_that_imports_it() -> None:
    graph = {name: set(_imports(path)) for name, path in MODULES.items()}
    assert any(graph.values())
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_no_module_imports_for_types_only() -> None:
    guilty = [name for name, path in MODULES.items() if "TYPE_CHECKING" in path.read_text(encoding="utf-8")]
    assert guilty == []


def test_only_loading_makes_settings_because_it_applies_the_rules_between_keys() -> None:
    makers = []
    for path in PROJECT_ROOT.rglob("*.py"):
        place = path.relative_to(PROJECT_ROOT)
        if place.parts[0].startswith((".", "tests", "build", "images")) or place == Path("settings/loading.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr.startswith("model_"):
                called = called.value
            name = getattr(called, "attr", getattr(called, "id", ""))
            if name == "Settings":
                makers.append(f"{place}:{getattr(node, 'lineno', 0)}")
    assert makers == []
