"""Cleaning: only what is ours, unused, and can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.engine.protocol import BuildRecord, Image
from operations.verbs.clean import build_commands, clean, clean_checkout, clean_engine, our_records, unused_images
from testbed.fake_engine import FakeEngine, container

pytestmark = pytest.mark.unit


def test_only_our_images_that_no_container_uses_are_removed() -> None:
    images = [
        Image(id="used", tags=("letta-platform.invalid/letta:1",), size=10, ours=True),
        Image(id="old", tags=("letta-platform.invalid/letta:0",), size=20, ours=True),
        Image(id="theirs", tags=("debian:trixie",), size=30, ours=False),
    ]
    users = [container("c", image_id="used", state="exited")]
    assert [one.id for one in unused_images(images, users)] == ["old"]
    engine = FakeEngine(all_images=images, all_containers=users)
    freed = clean_engine(engine)
    assert [(one.what, one.size) for one in freed] == [("image letta-platform.invalid/letta:0", 20)]
    assert [one.id for one in engine.all_images] == ["used", "theirs"]


def _record(name: str, description: str = "", parents: tuple[str, ...] = (), in_use: bool = False) -> BuildRecord:
    return BuildRecord(id=name, description=description, parents=parents, size=1, in_use=in_use)


def test_build_cache_is_ours_by_the_commands_of_our_images_and_what_stands_on_them(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "Dockerfile").write_text(
        "ARG BASE\nFROM ${BASE}\nRUN --mount=type=cache,target=/x --mount=type=secret,id=ca \\\n"
        "    groupadd  redis \\\n && useradd redis\nRUN write-manifest redis\n"
    )
    commands = build_commands(tmp_path)
    assert commands == ("groupadd redis && useradd redis", "write-manifest redis")
    records = [
        _record("copied", "fileop target"),
        _record("users", "mount / from exec /bin/sh -c groupadd  redis   && useradd redis", ("copied",)),
        _record("after", "fileop target", ("users",), in_use=True),
        _record("manifest", "mount / from exec /bin/sh -c write-manifest redis", ("after",)),
        _record("shared", "fileop target"),
        _record("theirs", "mount / from exec /bin/sh -c make", ("shared",)),
        _record("ours", "cached mount /x from exec /bin/sh -c groupadd redis && useradd redis", ("shared",)),
    ]
    assert [one.id for one in our_records(records, commands)] == ["copied", "users", "manifest", "ours"]
    assert our_records(records, ()) == ()


def _files(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("12345")


OURS_IN_A_CHECKOUT = (
    ".mypy_cache/CACHEDIR.TAG",
    ".mypy_cache/3.11/x.json",
    ".ruff_cache/CACHEDIR.TAG",
    ".pytest_cache/CACHEDIR.TAG",
    ".pytest_cache/v/cache/x",
    ".hypothesis/examples/x",
    "build/ca.pem",
    "build/letta.log",
    "settings/__pycache__/model.cpython-311.pyc",
)
THEIRS_IN_A_CHECKOUT = (
    "build/my-notes.txt",
    "build/site/index.html",
    ".hypothesis/notes",
    "settings/__pycache__/notes.txt",
    "settings/model.py",
    ".venv/lib/__pycache__/x.pyc",
)


def test_of_a_checkout_only_what_tools_made_is_removed(tmp_path: Path) -> None:
    _files(tmp_path, *OURS_IN_A_CHECKOUT, *THEIRS_IN_A_CHECKOUT)
    freed = clean_checkout(tmp_path)
    assert freed.size == 5 * len(OURS_IN_A_CHECKOUT)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(THEIRS_IN_A_CHECKOUT)
    assert not (tmp_path / ".mypy_cache").exists()


def test_a_cache_that_is_a_link_is_not_followed_out_of_the_checkout(tmp_path: Path) -> None:
    checkout, elsewhere = tmp_path / "checkout", tmp_path / "elsewhere"
    _files(elsewhere, "work", "mine/work")
    _files(checkout, "build/ca.pem")
    (checkout / ".mypy_cache").symlink_to(elsewhere)
    (checkout / "build" / "linked.log").symlink_to(elsewhere / "mine")
    clean_checkout(checkout)
    assert (elsewhere / "work").exists()
    assert (elsewhere / "mine" / "work").exists()
    assert not (checkout / "build").exists()


def test_what_is_kept_in_the_cache_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("toolchain.locations.ROOT", tmp_path / "checkout")
    monkeypatch.setenv("LETTA_CACHE_HOME", str(tmp_path / "home"))
    _files(tmp_path / "home", "thesis.tex", "toolchain-0123456789abcdef/complete.json")
    clean(None)
    assert f"did not make it: {tmp_path / 'home' / 'thesis.tex'}" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.tex"]
