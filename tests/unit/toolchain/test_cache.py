"""The cache: entries are complete or absent, and damage is detected."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from toolchain.cache import Entry, content_key
from toolchain.errors import StepFailedError
from toolchain.progress import Progress

pytestmark = pytest.mark.unit


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def progress(lines: list[str], tmp_path: Path) -> Progress:
    return Progress(lines.append, logs=tmp_path / "logs", heartbeat=0.05)


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return Entry(tmp_path / "cache" / "toolchain-0123")


def fill(folder: Path) -> None:
    (folder / "bin").mkdir()
    program = folder / "bin" / "tool"
    program.write_text("#!/bin/sh\necho tool\n")
    program.chmod(0o755)


def refuse(_folder: Path) -> None:
    raise AssertionError("created although it exists")


def test_an_intact_entry_is_not_created_again(entry: Entry, progress: Progress) -> None:
    assert entry.damage() == "missing"
    entry.make(fill, progress)
    assert entry.is_complete
    assert entry.damage() is None
    entry.make(refuse, progress)


def test_an_interrupted_fill_leaves_nothing_that_looks_complete(entry: Entry, progress: Progress) -> None:
    def interrupted(folder: Path) -> None:
        fill(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        entry.make(interrupted, progress)
    assert not entry.folder.exists()
    assert [path.name for path in entry.folder.parent.iterdir() if path.is_dir()] == []


def test_the_leftover_of_a_killed_run_is_removed_by_the_next(
    entry: Entry, progress: Progress, lines: list[str]
) -> None:
    leftover = entry.folder.with_name(f"{entry.folder.name}.partial-killed")
    (leftover / "locked").mkdir(parents=True)
    (leftover / "locked" / "file").touch()
    (leftover / "locked").chmod(0o500)
    entry.make(fill, progress)
    assert entry.is_complete
    assert not leftover.exists()
    assert any("interrupted" in line for line in lines)


def test_a_folder_without_its_list_of_files_is_not_finished(entry: Entry, progress: Progress) -> None:
    entry.folder.mkdir(parents=True)
    fill(entry.folder)
    assert entry.damage() == "not finished"
    entry.make(fill, progress)
    assert entry.is_complete


def truncate(program: Path) -> None:
    program.write_text("#!/bin/sh\n")


def change(program: Path) -> None:
    program.write_text("#!/bin/sh\necho fool\n")


def delete(program: Path) -> None:
    program.unlink()


def take_rights(program: Path) -> None:
    program.chmod(0o644)


@pytest.mark.parametrize(
    ("harm", "words"),
    [(truncate, "bytes"), (change, "checksum"), (delete, "missing"), (take_rights, "not executable")],
)
def test_damage_is_named_and_fixed(
    entry: Entry, progress: Progress, lines: list[str], harm: object, words: str
) -> None:
    entry.make(fill, progress)
    assert callable(harm)
    harm(entry.folder / "bin" / "tool")
    assert words in (entry.damage() or "")
    entry.make(fill, progress)
    assert entry.damage() is None
    assert any("creating it again" in line for line in lines)


def test_a_touched_file_is_no_damage(entry: Entry, progress: Progress) -> None:
    entry.make(fill, progress)
    os.utime(entry.folder / "bin" / "tool")
    assert entry.is_complete


def test_a_list_that_cannot_be_read_is_damage(entry: Entry, progress: Progress) -> None:
    entry.make(fill, progress)
    (entry.folder / "complete.json").write_text('{"files": ')
    assert "cannot be read" in (entry.damage() or "")


def test_concurrent_calls_create_the_entry_once(entry: Entry, progress: Progress) -> None:
    begun, go_on, made = threading.Event(), threading.Event(), []

    def slowly(folder: Path) -> None:
        made.append(folder)
        fill(folder)
        begun.set()
        assert go_on.wait(30)

    first = threading.Thread(target=entry.make, args=(slowly, progress))
    first.start()
    assert begun.wait(30)
    waiting: list[str] = []
    said = threading.Event()

    def show(line: str) -> None:
        waiting.append(line)
        said.set()

    second = threading.Thread(target=entry.make, args=(slowly, Progress(show, heartbeat=60)))
    second.start()
    assert said.wait(30)
    go_on.set()
    first.join()
    second.join()
    assert len(made) == 1
    assert "waiting for another process" in waiting[0]


def test_the_key_depends_on_names_and_content_only(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "go.mod").write_text("module x\n")
    os.utime(two / "go.mod", (0, 0))

    def key(folder: Path, *parts: str) -> str:
        return content_key(parts, folder.iterdir(), folder)

    assert key(one, "linux") == key(two, "linux")
    assert key(one, "linux") != key(one, "darwin")
    (two / "go.mod").write_text("module y\n")
    assert key(one, "linux") != key(two, "linux")


def test_an_entrys_own_check_decides_too(tmp_path: Path, progress: Progress) -> None:
    wrong: list[str] = []
    entry = Entry(tmp_path / "cache" / "tool-0", check=lambda _folder: wrong[0] if wrong else None)
    entry.make(fill, progress)
    assert entry.is_complete

    wrong.append("it has aged")
    assert entry.damage() == "it has aged"
    with pytest.raises(StepFailedError, match="it has aged"):
        entry.make(fill, progress)
    assert not entry.folder.exists()
