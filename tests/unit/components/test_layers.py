"""What may import what: components describe services without Docker and settings; runtimes know no component."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

OURS = frozenset(path.stem for path in ROOT.iterdir() if (path / "__init__.py").exists()) | {"catalogue"}
COMPOSERS = {"platform", "outputs", "model_providers"}
"""Modules of components that say what settings mean for components. All others get arguments."""


def imports(folder: str) -> Iterator[tuple[str, str]]:
    """Yield each module of a folder with the full name of each thing that it imports."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((_module(path), alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((_module(path), f"{node.module}.{alias.name}") for alias in node.names)


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts[1:])


def importers(folder: str, package: str) -> set[str]:
    """Return the modules of a folder that import a package or something in it."""
    return {module for module, name in imports(folder) if f"{name}.".startswith(f"{package}.")}


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("components", {"catalogue", "components", "otel", "runtime", "settings"}),
        ("runtime", {"catalogue", "runtime"}),
    ],
)
def test_a_folder_imports_only_what_is_below_it(folder: str, allowed: set[str]) -> None:
    packages = {name.partition(".")[0] for _, name in imports(folder)}
    assert packages & OURS <= allowed


def test_only_what_composes_the_platform_knows_settings() -> None:
    assert importers("components", "settings") == COMPOSERS


def test_only_the_engines_runtime_and_the_image_build_know_docker() -> None:
    assert importers("components", "pulumi_docker") == {"image_build"}
    assert importers("components", "runtime.engine") == set()
    docker = importers("runtime", "pulumi_docker") | importers("runtime", "docker")
    assert docker == {module for module in docker if module.startswith("engine.")}


def test_the_catalogue_imports_nothing_of_the_project() -> None:
    text = (ROOT / "catalogue.py").read_text(encoding="utf-8")
    imported = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {getattr(node, "module", None) for node in imported} == {
        "__future__", "collections.abc", "dataclasses", "enum",
    }  # fmt: skip
