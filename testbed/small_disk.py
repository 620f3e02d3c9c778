"""A file system of its own for a folder, so small that it can be filled; only root can make one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FILE = "something else"
_PAGE = 4096


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Let a folder hold so many bytes within."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small-disk", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> None:
    """Take what room is left, for a file that belongs to nobody."""
    with suppress(OSError), (folder / _FILE).open("ab", buffering=0) as file:
        while True:
            file.write(bytes(_PAGE))


def free(folder: Path) -> None:
    """Give it back."""
    (folder / _FILE).unlink()
