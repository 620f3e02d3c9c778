"""A separate file system for a folder, small enough to be filled; only root can create one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FILE = "something else"
_PAGE = 4096


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Limit a folder to so many bytes until the end of the context."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small-disk", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> None:
    """Fill the remaining room with a file."""
    with suppress(OSError), (folder / _FILE).open("ab", buffering=0) as file:
        while True:
            file.write(bytes(_PAGE))


def free(folder: Path) -> None:
    """Remove the file of `fill`."""
    (folder / _FILE).unlink()
