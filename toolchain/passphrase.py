"""The passphrase that encrypts the secrets in the embedded state: created once, private, never replaced."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from pathlib import Path

from toolchain import locations
from toolchain.errors import StepFailedError

_BYTES = 32


def ensure(file: Path, *, backend: Path) -> None:
    """Create the passphrase file unless it exists.

    Args:
        file: its path.
        backend: folder of the state that is encrypted with it.

    Raises:
        StepFailedError: when it is readable by others, empty, or missing while there are stacks encrypted with it.
    """
    try:
        found = file.stat()
    except FileNotFoundError:
        _refuse_if_needed(file, backend)
        _create(file)
        return
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StepFailedError(
            f"the passphrase {file} can be read or written by others (mode {stat.S_IMODE(found.st_mode):04o})",
            fix=[
                f"chmod 600 {file}",
                "if others may have read it, change the secrets of your stacks: they can decrypt them",
            ],
        )
    if found.st_size == 0:
        raise StepFailedError(
            f"the passphrase {file} is empty",
            fix=["restore it from a backup", f"or, if no stack was ever deployed with it: rm {file}"],
        )


def _refuse_if_needed(file: Path, backend: Path) -> None:
    stacks = sorted((backend / ".pulumi" / "stacks").glob("*/*.json"))
    if stacks:
        names = ", ".join(path.stem for path in stacks)
        raise StepFailedError(
            f"the passphrase {file} is gone, and the state in {backend} has stacks that need it: {names}",
            fix=[
                "restore the file from a backup: nothing else decrypts their secrets",
                f"or, if those stacks are not needed: move {backend} away, and a new state is created",
            ],
        )


def _create(file: Path) -> None:
    locations.private_folder(file.parent)
    # mkstemp gives mode 0600 whatever the umask is.
    descriptor, name = tempfile.mkstemp(prefix=".passphrase-", dir=file.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secrets.token_urlsafe(_BYTES) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        try:
            # A link, because unlike a rename it does not replace a file that another process has just created.
            os.link(temporary, file)
        except FileExistsError:
            return
    finally:
        temporary.unlink()
