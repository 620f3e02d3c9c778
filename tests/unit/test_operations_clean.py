"""Cleaning: only what is ours, unused, and can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.clean import clean_engine, clean_folders, our_records, unused_images
from operations.engine import BuildRecord, Image
from tests.unit.test_operations_engine import FakeEngine, container

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


def test_build_cache_is_ours_by_name_or_by_what_it_stands_on() -> None:
    records = [
        _record("a", "pulled from letta-platform.invalid/debian:trixie"),
        _record("b", "apt-get install", ("a",)),
        _record("c", "pip install", ("b",), in_use=True),
        _record("d", "cleanup", ("c",)),
        _record("x", "somebody else's"),
    ]
    assert {one.id for one in our_records(records)} == {"a", "b", "d"}


def test_read_only_folders_as_go_makes_them_are_removed_with_their_size(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "module"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"x" * 1000)
    (folder / "file").chmod(0o400)
    folder.chmod(0o500)
    (freed,) = clean_folders([tmp_path / "cache", tmp_path / "absent"])
    assert freed.size == 1000
    assert not (tmp_path / "cache").exists()
