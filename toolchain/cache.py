"""Cache folders named by a hash of their inputs: created atomically, and checked for damage before use.

An entry is filled in a temporary folder next to it, which is renamed when it is finished; a list of its files,
written last, marks it as complete. A process that dies before that leaves a temporary folder, which the next one
removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain.errors import StepFailedError
from toolchain.progress import Progress

MARKER = "complete.json"
_PARTIAL = ".partial-"


def content_key(parts: Iterable[str], files: Iterable[Path], base: Path) -> str:
    """Return a hash, 16 hex digits, of texts and of files with their names relative to `base`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part}\0".encode())
    for path in sorted(files):
        digest.update(f"{path.relative_to(base).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder of the cache, whether or not it exists."""

    folder: Path
    check: Callable[[Path], str | None] | None = None
    """An additional check of a folder whose files are intact: returns what is wrong with it, or None."""

    def damage(self) -> str | None:
        """Return what is wrong with it, or None when it is complete and intact.

        Sizes and modification times of its files are compared, and checksums where the times differ.
        """
        try:
            files: dict[str, dict[str, int | str]] = json.loads((self.folder / MARKER).read_text())["files"]
        except FileNotFoundError:
            return "missing" if not self.folder.exists() else "not finished"
        except (OSError, ValueError, KeyError):
            return f"{MARKER} cannot be read"
        found = (_file_damage(self.folder / name, listed) for name, listed in files.items())
        damaged = next((damage for damage in found if damage), None)
        return damaged or (self.check(self.folder) if self.check else None)

    @property
    def is_complete(self) -> bool:
        """Whether it exists and is intact."""
        return self.damage() is None

    def make(self, fill: Callable[[Path], None], progress: Progress) -> None:
        """Create it unless it is intact; wait for another process that is creating it.

        Args:
            fill: called with an empty folder, whose content becomes the entry.
            progress: where to report.

        Raises:
            StepFailedError: when what `fill` created does not pass the entry's own check.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder.with_name(f".{self.folder.name}.lock"), progress):
            damage = self.damage()
            if damage is None:
                return
            self._remove_leftovers(progress)
            if self.folder.exists():
                progress.say(f"{self.folder} is damaged ({damage}): creating it again")
                remove(self.folder)
            partial = Path(tempfile.mkdtemp(prefix=f"{self.folder.name}{_PARTIAL}", dir=self.folder.parent))
            try:
                fill(partial)
                if self.check and (wrong := self.check(partial)):
                    raise StepFailedError(f"the new content of {self.folder} is invalid: {wrong}")
                _write_marker(partial)
                partial.rename(self.folder)
            finally:
                remove(partial)
            # Again: programs that a killed run had started may have kept writing for a while.
            self._remove_leftovers(progress)

    def _remove_leftovers(self, progress: Progress) -> None:
        for leftover in self.folder.parent.glob(f"{self.folder.name}{_PARTIAL}*"):
            progress.say(f"removing {leftover}, left by an interrupted run")
            remove(leftover)


def _file_damage(path: Path, listed: Mapping[str, int | str]) -> str | None:
    try:
        found = path.stat()
    except OSError:
        return f"{path.name} is missing"
    if found.st_size != listed["size"]:
        return f"{path.name} has {found.st_size} bytes instead of {listed['size']}"
    if listed["executable"] and not found.st_mode & stat.S_IXUSR:
        return f"{path.name} is not executable"
    if found.st_mtime_ns != listed["mtime_ns"] and _checksum(path) != listed["sha256"]:
        return f"{path.name} has a different checksum"
    return None


def remove(folder: Path) -> None:
    """Remove a folder if it exists, even when folders in it are read-only."""
    if not folder.exists():
        return
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


def _write_marker(folder: Path) -> None:
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            found = path.stat()
            files[path.relative_to(folder).as_posix()] = {
                "size": found.st_size,
                "mtime_ns": found.st_mtime_ns,
                "executable": bool(found.st_mode & stat.S_IXUSR),
                "sha256": _checksum(path),
            }
            _flush(path)
    marker = folder / MARKER
    marker.write_text(json.dumps({"files": files}, indent=1))
    _flush(marker)


def _flush(path: Path) -> None:
    # Otherwise a power cut after the rename could leave an entry that looks complete and has empty files.
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"waiting for another process that writes to {path.parent}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
