"""The passphrase that encrypts the secrets in the embedded state: made once, private, never replaced."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from pathlib import Path

from toolchain import locations
from toolchain.failure import StepFailedError

_BYTES = 32


def ensure(file: Path, *, backend: Path) -> None:
    """Make the passphrase file unless it is there.

    Args:
        file: where it lies.
        backend: folder of the state that is encrypted with it.

    Raises:
        StepFailedError: when it is readable by others, empty, or lost while there are stacks encrypted with it.
    """
    try:
        found = file.stat()
    except FileNotFoundError:
        _refuse_if_needed(file, backend)
        _make(file)
        return
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StepFailedError(
            f"the passphrase {file} can be read or written by others (mode {stat.S_IMODE(found.st_mode):04o})",
            fix=[
                f"chmod 600 {file}",
                "who may have read it can open the secrets of your stacks: if that matters, change those",
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
                "restore the file from a backup: nothing else opens their secrets",
                f"or, if those stacks are not needed: move {backend} away, and this starts anew",
            ],
        )


def _make(file: Path) -> None:
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
            # A link, because unlike a rename it does not replace what another process has made meanwhile.
            os.link(temporary, file)
        except FileExistsError:
            return
    finally:
        temporary.unlink()
