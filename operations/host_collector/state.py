"""A collector's part of the state folder: queue, files, device id, and secrets while it runs."""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from operations.console.errors import OperationError
from toolchain import locations


@dataclass(frozen=True, slots=True)
class State:
    """The folder `collector` below the state folder; readable for its owner only."""

    folder: Path

    @property
    def data(self) -> Path:
        """The output of file exporters, and the queue."""
        return self.folder / "data"

    @property
    def secrets(self) -> Path:
        """Files with secrets, only while a collector runs."""
        return self.folder / "secrets"

    @property
    def configuration(self) -> Path:
        """The configuration of the last run, without secrets."""
        return self.folder / "collector.yaml"

    def device_id(self) -> str:
        """Return the id of this machine, the same at every run; the first call makes it."""
        file = self.folder / "device-id"
        if file.is_file() and (known := file.read_text(encoding="utf-8").strip()):
            return known
        made = str(uuid.uuid4())
        _write(file.with_suffix(".new"), made + "\n").rename(file)
        return made

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock of these files, so that no other collector uses them.

        Raises:
            OperationError: when another collector holds it.
        """
        for folder in (self.folder.parent, self.folder, self.data):
            locations.private_folder(folder)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OperationError(
                    "another `collector run` of yours is running and uses the queue",
                    where=str(self.folder),
                    fix=["stop that one first"],
                ) from None
            yield

    @contextmanager
    def secret_files(self, files: Mapping[str, str]) -> Iterator[None]:
        """Keep files (name → content) with secrets while the block runs, readable for their owner only."""
        # A run that was killed leaves its files behind.
        self._remove_secrets()
        try:
            locations.private_folder(self.secrets)
            for name, content in files.items():
                _write(self.secrets / name, content)
            yield
        finally:
            self._remove_secrets()

    def _remove_secrets(self) -> None:
        """Remove the files, which are in no folders of their own, and their folder; of a link, the link alone."""
        if self.secrets.is_symlink():
            self.secrets.unlink()
        if self.secrets.is_dir():
            for file in self.secrets.iterdir():
                file.unlink()
            self.secrets.rmdir()

    def write_configuration(self, text: str) -> None:
        """Write the configuration."""
        _write(self.configuration, text)


def _write(path: Path, content: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(content, encoding="utf-8")
    return path
