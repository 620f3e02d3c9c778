"""The folder of the cache: its mark, and what may be removed from it.

The folder is the user's choice (`LETTA_CACHE_HOME`, `XDG_CACHE_HOME`), so it may hold anything. What is removed
from it is known to be this project's: by its name in a folder with the mark, and otherwise by name and content.
Caches of earlier versions have no mark, nor have folders that existed before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolchain import cache

MARK = ".letta-platform-cache"
"""A file in folders that this project made for its cache; see `prepare`."""
_TEXT = "Made by letta-platform; `make clean` removes what it keeps here.\n"
_ENTRY = re.compile(r"(toolchain|collector-\d+\.\d+\.\d+|go|compose|promtool)-[0-9a-f]{16}")
_PARTIAL = re.compile(rf"({_ENTRY.pattern})\.partial-\w+")
_LOCK = re.compile(rf"\.({_ENTRY.pattern})\.lock")
BUILDS = ("go-build", "go-path")
"""The caches of the Go compiler that this project installs. `~/.cache/go-build` is the one of every other Go."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleared:
    """What was removed from a folder, in bytes, and what was kept because it is not this project's."""

    size: int
    kept: tuple[Path, ...]


def _may_be_ours(entry: Path) -> bool:
    name = entry.name
    return name in {MARK, *BUILDS} or any(pattern.fullmatch(name) for pattern in (_ENTRY, _PARTIAL, _LOCK))


def prepare(folder: Path) -> Path:
    """Create a folder for a cache, with the mark, and return it.

    One that exists gets the mark only when there is nothing in it that may be somebody else's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / MARK
    if not mark.exists() and all(map(_may_be_ours, folder.iterdir())):
        mark.write_text(_TEXT, encoding="utf-8")
    return folder


def is_entry(entry: Path) -> bool:
    """Whether an entry of the cache's folder is this project's."""
    folder, name = entry.parent, entry.name
    if name in BUILDS:
        # Another Go may have one of this name in the same folder, unless nothing else than ours is there.
        return (entry / MARK).exists() or all(map(_may_be_ours, folder.iterdir()))
    if _ENTRY.fullmatch(name):
        return (folder / MARK).exists() or (entry / cache.MARKER).is_file()
    return _may_be_ours(entry) and name != MARK


def clear(folder: Path, is_ours: Callable[[Path], bool] = is_entry) -> Cleared:
    """Remove what is ours of a folder, and the folder when nothing else is in it.

    A link is removed, and what it leads to is not; a folder that is a link stays.
    """
    if not folder.is_dir():
        return Cleared(size=0, kept=())
    # All are judged before the first is removed: some by what is next to them.
    entries = [(entry, is_ours(entry)) for entry in sorted(folder.iterdir()) if entry.name != MARK]
    size = 0
    for entry, ours in entries:
        if ours:
            size += size_of(entry)
            cache.remove(entry)
    kept = tuple(entry for entry, ours in entries if not ours)
    if not kept and not folder.is_symlink():
        (folder / MARK).unlink(missing_ok=True)
        folder.rmdir()
    return Cleared(size=size, kept=kept)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all below a folder."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += (Path(folder) / name).lstat().st_size
            except OSError:
                continue
    return total
