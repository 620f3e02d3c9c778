"""Cleaning: only what is ours, unused, and can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.engine.protocol import BuildRecord, Image
from operations.verbs.clean import build_commands, clean_engine, clean_folders, our_records, unused_images
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


def test_read_only_folders_as_go_makes_them_are_removed_with_their_size(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "module"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"x" * 1000)
    (folder / "file").chmod(0o400)
    folder.chmod(0o500)
    (freed,) = clean_folders([tmp_path / "cache", tmp_path / "absent"])
    assert freed.size == 1000
    assert not (tmp_path / "cache").exists()
