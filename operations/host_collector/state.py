"""What a collector on this machine keeps in the state folder: queue, files, id, and secrets while it runs."""

from __future__ import annotations

import fcntl
import shutil
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
        """What the file exporters write; the queue lies below it."""
        return self.folder / "data"

    @property
    def secrets(self) -> Path:
        """Secrets, while a collector runs."""
        return self.folder / "secrets"

    @property
    def configuration(self) -> Path:
        """The configuration of the last run; no secret is in it."""
        return self.folder / "collector.yaml"

    def device_id(self) -> str:
        """Give the id of this machine, which stays the same from run to run; made when there is none."""
        file = self.folder / "device-id"
        if file.is_file() and (known := file.read_text(encoding="utf-8").strip()):
            return known
        made = str(uuid.uuid4())
        _write(file.with_suffix(".new"), made + "\n").rename(file)
        return made

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other collectors from these files.

        Raises:
            OperationError: when another one runs.
        """
        for folder in (self.folder.parent, self.folder, self.data):
            locations.private_folder(folder)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OperationError(
                    "another `collector run` of yours is under way, and has the queue",
                    where=str(self.folder),
                    fix=["end that one first"],
                ) from None
            yield

    @contextmanager
    def secret_files(self, files: Mapping[str, str]) -> Iterator[None]:
        """Have files with secrets within, readable for their owner only."""
        # One that was killed leaves its own behind.
        shutil.rmtree(self.secrets, ignore_errors=True)
        try:
            locations.private_folder(self.secrets)
            for name, content in files.items():
                _write(self.secrets / name, content)
            yield
        finally:
            shutil.rmtree(self.secrets, ignore_errors=True)

    def write_configuration(self, text: str) -> None:
        """Write the configuration."""
        _write(self.configuration, text)


def _write(path: Path, content: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(content, encoding="utf-8")
    return path
