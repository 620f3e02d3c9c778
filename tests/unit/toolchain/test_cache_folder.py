"""The folder of the cache: only what is this project's is removed from it, whatever folder a user named."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolchain.cache_folder import MARK, clear, prepare
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

KEY = "0123456789abcdef"
OURS = (
    f"toolchain-{KEY}/complete.json",
    f"toolchain-{KEY}/bin/pulumi",
    f"toolchain-{KEY}.partial-ab_1/bin/pulumi",
    f".toolchain-{KEY}.lock",
    f"collector-0.149.0-{KEY}/complete.json",
    f"go-{KEY}/complete.json",
    f"compose-{KEY}/complete.json",
    f"promtool-{KEY}/complete.json",
)
OUR_GO = ("go-build/00/x", "go-path/pkg/mod/x")
THEIRS = (
    "thesis.tex",
    "letta-platform/state.json",
    "toolchain/bin/gcc",
    "toolchain-2024/notes",
    f"toolchain-{KEY}x/notes",
    "go-tools/x",
    "collector-mine/x",
    ".ssh/id_ed25519",
)


def _fill(folder: Path, *files: str) -> None:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("12345")


def _left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("marked", [True, False])
def test_a_folder_that_has_only_what_is_ours_is_gone(tmp_path: Path, marked: bool) -> None:
    folder = tmp_path / "cache"
    if marked:
        prepare(folder)
    _fill(folder, *OURS, *OUR_GO)
    cleared = clear(folder)
    assert cleared.size == 5 * len([*OURS, *OUR_GO])
    assert cleared.kept == ()
    assert not folder.exists()


@pytest.mark.parametrize("marked", [True, False])
def test_what_is_not_ours_is_kept_and_named(tmp_path: Path, marked: bool) -> None:
    if marked:
        prepare(tmp_path)
    _fill(tmp_path, *OURS, *THEIRS)
    cleared = clear(tmp_path)
    assert _left(tmp_path) - {MARK} == set(THEIRS)
    assert {path.name for path in cleared.kept} == {name.partition("/")[0] for name in THEIRS}


@pytest.mark.parametrize("marked", [True, False])
def test_the_build_cache_of_another_go_is_kept(tmp_path: Path, marked: bool) -> None:
    """As with LETTA_CACHE_HOME=~/.cache, where every other Go keeps its own."""
    if marked:
        prepare(tmp_path)
    _fill(tmp_path, "go-build/00/theirs", "pip/x", *OURS)
    prepare(tmp_path / "go-build")
    clear(tmp_path)
    assert _left(tmp_path) - {MARK} == {"go-build/00/theirs", "pip/x"}


def test_our_build_cache_is_removed_from_among_others(tmp_path: Path) -> None:
    _fill(tmp_path, "pip/x")
    prepare(tmp_path / "go-build")
    _fill(tmp_path, "go-build/00/ours")
    clear(tmp_path)
    assert _left(tmp_path) == {"pip/x"}


def test_a_folder_with_the_name_of_an_entry_is_kept_when_nothing_shows_that_it_is_one(tmp_path: Path) -> None:
    _fill(tmp_path, f"toolchain-{KEY}/notes", "other")
    clear(tmp_path)
    assert _left(tmp_path) == {f"toolchain-{KEY}/notes", "other"}


def test_links_are_removed_and_what_they_lead_to_is_not(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "cache"
    _fill(elsewhere, "complete.json", "work")
    prepare(folder)
    (folder / f"toolchain-{KEY}").symlink_to(elsewhere)
    _fill(folder, f"go-{KEY}/complete.json")
    (folder / f"go-{KEY}" / "inside").symlink_to(elsewhere)
    clear(folder)
    assert not folder.exists()
    assert _left(elsewhere) == {"complete.json", "work"}


def test_a_cache_folder_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "disk")
    _fill(tmp_path / "cache", *OURS)
    clear(tmp_path / "cache")
    assert (tmp_path / "cache").is_symlink()
    assert _left(tmp_path / "disk") == set()


def test_read_only_folders_as_go_makes_them_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "go-path" / "module"
    _fill(folder, "file")
    (folder / "file").chmod(0o400)
    folder.chmod(0o500)
    assert clear(tmp_path / "cache").size == 5
    assert not (tmp_path / "cache").exists()


def test_nothing_is_removed_where_nothing_is(tmp_path: Path) -> None:
    assert clear(tmp_path / "absent").size == 0


@pytest.mark.parametrize(
    ("before", "marked"),
    [((), True), (OURS, True), (("thesis.tex",), False), ((*OURS, "thesis.tex"), False)],
    ids=["new", "of an earlier version", "somebody's", "both"],
)
def test_a_folder_gets_the_mark_unless_it_may_be_somebody_elses(
    tmp_path: Path, before: tuple[str, ...], marked: bool
) -> None:
    _fill(tmp_path, *before)
    assert prepare(tmp_path) == tmp_path
    assert (tmp_path / MARK).exists() is marked


# -- everything that deletes folders ---------------------------------------------------------------------

RECURSIVE = {
    # The one function; its callers name folders of the cache, by content key, or what `is_entry` accepts.
    "toolchain/cache.py": 1,
    # .venv, in a function that first looks whether it is one.
    "toolchain/bootstrap.sh": 1,
}
CALLERS = {
    "toolchain/cache.py": 3,
    "toolchain/cache_folder.py": 1,
    "toolchain/go_modules.py": 2,
}


def _sources() -> Iterator[Path]:
    yield ROOT / "Makefile"
    for folder in ("operations", "toolchain", "settings", "components", "runtime", "development"):
        yield from (path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".sh"})


def test_whatever_deletes_folders_is_known() -> None:
    pattern = re.compile(r"rmtree\(|\brm -\w*r|removedirs\(|os\.removedirs")
    found = {
        str(path.relative_to(ROOT)): len(pattern.findall(path.read_text(encoding="utf-8"))) for path in _sources()
    }
    assert {path: count for path, count in found.items() if count} == RECURSIVE


def test_the_callers_of_the_one_function_are_known() -> None:
    found: dict[str, int] = {}
    for path in (ROOT / "toolchain").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"remove", "cache.remove"}:
                name = str(path.relative_to(ROOT))
                found[name] = found.get(name, 0) + 1
    assert found == CALLERS
