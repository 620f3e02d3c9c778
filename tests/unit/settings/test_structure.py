"""How the modules of settings depend on each other, and what no other package may do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from pydantic.alias_generators import to_snake

import catalogue
from settings.schema import fields
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


def _words(node: ast.AST) -> set[object]:
    """Names and literals in a piece of code."""
    found: set[object] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant):
            found.add(inner.value)
        elif isinstance(inner, ast.Name):
            found.add(inner.id)
        elif isinstance(inner, ast.Attribute):
            found.add(inner.attr)
        elif isinstance(inner, ast.keyword | ast.arg):
            found.add(inner.arg)
    return found


def repeated_defaults(source: str) -> set[str]:
    """Keys of settings that a statement names together with their default."""
    defaults = {key: field.get_default(call_default_factory=True) for key, field in fields().items()}
    # Zero, one, truth values, `none` and choices stand next to a setting for other reasons than being its default.
    telling = {
        key: value for key, value in defaults.items() if type(value) in {int, str} and str(value) not in "01"
    }
    named = {key: {key, to_snake(key)} for key in telling}
    for service in catalogue.SERVICES:
        named[service.memory] |= {service.name}
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and not any(
            isinstance(inner, ast.stmt) for inner in ast.iter_child_nodes(node)
        ):
            words = _words(node)
            found |= {key for key, value in telling.items() if value in words and named[key] & words}
    return found


@pytest.mark.parametrize("folder", ["operations", "development", "toolchain"])
def test_no_default_of_a_setting_stands_outside_of_settings(folder: str) -> None:
    repeated = {
        f"{path.relative_to(PROJECT_ROOT)}: {key}"
        for path in (PROJECT_ROOT / folder).rglob("*.py")
        for key in repeated_defaults(path.read_text(encoding="utf-8"))
    }
    assert repeated == set()


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ('_ALL = (("apiPort", 8283), ("otlpGrpcPort", 1))', {"apiPort"}),
        ('limits = {"postgres": 512, "redis": 64}', {"postgresMemoryMb"}),
        ('seconds = file.number("startTimeoutSeconds", 180)', {"startTimeoutSeconds"}),
        ('def f() -> str:\n    return raw.get("bindAddress") or "127.0.0.1"', {"bindAddress"}),
        ("port = settings.api_port", set()),
        ("wait = 180", set()),
    ],
)
def test_a_repeated_default_is_noticed(source: str, keys: set[str]) -> None:
    assert repeated_defaults(source) == keys
