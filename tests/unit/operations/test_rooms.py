"""The rooms of operations: each imports only from those below it, and no module stands outside one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

FLOORS = (
    ("cli",),
    ("verbs",),
    ("deploy", "host_collector", "release", "review", "recovery"),
    ("checks",),
    ("telemetry",),
    ("stack",),
    ("engine",),
    ("console",),
)
"""From top to bottom. Rooms on the same floor do not import each other."""
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FOLDER = ROOT / "operations"
ABOVE = frozenset({"components", "runtime", "development", "testbed", "tests", "benchmarks"})
"""Packages that operations do not import: those of the program, and those that are built on operations."""


def imports(path: Path) -> Iterator[str]:
    """Yield what a module imports, with full names; imports inside functions count too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def upward(path: Path) -> Iterator[str]:
    """Yield the imports of a module that do not lead downwards."""
    room = path.relative_to(FOLDER).parts[0]
    for name in imports(path):
        package, _, below = name.partition(".")
        imported = below.partition(".")[0]
        if package == "operations" and imported != room and FLOOR[imported] <= FLOOR[room]:
            yield f"{path.relative_to(FOLDER)} imports {imported}"


def test_no_module_stands_outside_a_room() -> None:
    outside = {path.stem for path in FOLDER.glob("*.py")}
    assert outside == {"__init__", "__main__"}
    assert {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"} <= FLOOR.keys()


def test_rooms_import_only_downwards() -> None:
    found = {fault for path in FOLDER.glob("*/**/*.py") for fault in upward(path)}
    assert found == set()


def test_operations_import_neither_the_program_nor_what_is_built_on_them() -> None:
    imported = {name.partition(".")[0] for path in FOLDER.rglob("*.py") for name in imports(path)}
    assert not imported & ABOVE


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("from operations.checks import ports", []),
        ("from operations.deploy import tools", []),
        ("from operations.verbs.up import up", ["deploy/new.py imports verbs"]),
        ("def late():\n    import operations.host_collector.run", ["deploy/new.py imports host_collector"]),
        ("from operations import cli", ["deploy/new.py imports cli"]),
    ],
    ids=["down", "same room", "up", "sibling, late", "package"],
)
def test_the_rule_sees_every_kind_of_import(
    source: str, faults: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "FOLDER", tmp_path)
    path = tmp_path / "deploy" / "new.py"
    path.parent.mkdir()
    path.write_text(source)
    assert list(upward(path)) == faults
