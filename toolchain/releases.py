"""Archives that makers publish: found in the list of checksums beside them, downloaded, compared, unpacked.

The list comes over TLS from the same place as the archive. So comparing finds damage on the way, and trusts the
publisher's account: it does not prove who made the archive.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import httpx

from toolchain import network
from toolchain.failure import StepFailedError
from toolchain.install_method import UnavailableError
from toolchain.progress import Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A published archive."""

    url: str
    sha256: str


def find(archive: str, checksums: str) -> Release:
    """Look an archive up in the list at the address `checksums`, beside which it lies.

    Raises:
        UnavailableError: when the list cannot be had, as where its host cannot be reached, or lacks the archive.
    """
    try:
        listed = network.fetch_text(checksums)
    except (httpx.HTTPError, OSError) as error:
        raise UnavailableError(f"{checksums} cannot be had: {_words(error)}") from None
    for line in listed.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].removeprefix("*") == archive:
            return Release(url=f"{checksums.rpartition('/')[0]}/{archive}", sha256=words[0].lower())
    raise UnavailableError(f"{checksums} does not list {archive}")


def bring(progress: Progress, release: Release, target: Path, wanted: Callable[[PurePosixPath], bool]) -> None:
    """Download an archive, and unpack its `wanted` files (never links) into a folder, by their names alone.

    Raises:
        UnavailableError: when it cannot be downloaded.
        StepFailedError: when it is not the published one.
    """
    target.mkdir(exist_ok=True)
    archive = target / "release.tar.gz"
    with progress.step(f"downloading {release.url}"):
        try:
            found = network.download(release.url, archive, progress)
        except (httpx.HTTPError, OSError) as error:
            raise UnavailableError(f"{release.url} cannot be downloaded: {_words(error)}") from None
    if found != release.sha256:
        raise StepFailedError(
            f"{release.url} has the checksum {found}, and {release.sha256} is the published one",
            fix=["run it again", "the same again: do not use it, and ask who changes downloads on this network"],
        )
    with tarfile.open(archive) as opened:
        for member in opened:
            # By name, so that nothing leads elsewhere.
            path = PurePosixPath(member.name)
            content = opened.extractfile(member) if member.isfile() and wanted(path) else None
            if content is None:
                continue
            file = target / path.name
            with file.open("wb") as unpacked:
                shutil.copyfileobj(content, unpacked)
            file.chmod(0o755)
    archive.unlink()


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
