"""Where Pulumi keeps a stack's state, read without starting Pulumi when it is a folder.

Every start of the CLI takes about a second, which a `make up` that changes nothing should not spend.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from operations.console.errors import OperationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """A lock on a stack, as its holder wrote it."""

    path: Path
    pid: int
    host: str
    user: str
    since: str

    @property
    def is_stale(self) -> bool:
        """Whether its process was on this machine and no longer exists; others cannot be seen from here."""
        return self.host == socket.gethostname() and not _is_running(self.pid)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@dataclass(frozen=True, slots=True)
class FileBackend:
    """A backend of scheme `file://`."""

    folder: Path

    def _state_file(self, project: str, stack: str) -> Path:
        return self.folder / ".pulumi" / "stacks" / project / f"{stack}.json"

    def stack_exists(self, project: str, stack: str) -> bool:
        """Whether the stack is known here, deployed or not."""
        file = self._state_file(project, stack)
        return any(file.with_name(file.name + ending).is_file() for ending in ("", ".gz", ".zst"))

    def deployment(self, project: str, stack: str) -> dict[str, Any] | None:
        """Return what the state holds; None when it is compressed, so that only Pulumi can read it.

        Raises:
            OperationError: when the file is damaged.
        """
        file = self._state_file(project, stack)
        try:
            checkpoint = json.loads(file.read_bytes())["checkpoint"]
            latest = checkpoint.get("latest") or {}
        except FileNotFoundError:
            return None if self.stack_exists(project, stack) else {}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise OperationError(
                "the state of the stack cannot be read: the file is damaged",
                where=f"stack {stack}, {file}",
                fix=[f"restore the last good copy: {file.name}.bak next to it, or one in .pulumi/backups"],
            ) from None
        return dict(latest)

    def locks(self, project: str, stack: str) -> tuple[Lock, ...]:
        """Return the locks on a stack."""
        folder = self.folder / ".pulumi" / "locks" / "organization" / project / stack
        found = []
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
            try:
                raw = json.loads(path.read_bytes())
                lock = Lock(
                    path=path,
                    pid=int(raw["pid"]),
                    host=str(raw["hostname"]),
                    user=str(raw["username"]),
                    since=str(raw["timestamp"])[:19],
                )
            except (OSError, ValueError, KeyError):
                continue  # it was removed, or is being written, meanwhile
            found.append(lock)
        return tuple(found)


def file_backend(environment: Mapping[str, str]) -> FileBackend | None:
    """Return the backend when it is a folder; None when it is anything else (a bucket, a service)."""
    url = urlsplit(environment.get("PULUMI_BACKEND_URL") or "")
    if url.scheme != "file":
        return None
    path = unquote(url.netloc + url.path)
    return FileBackend(Path(path).expanduser().absolute())
