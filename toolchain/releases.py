"""Published archives: found in the list of checksums next to them, downloaded, verified, unpacked.

The list comes over TLS from the same host as the archive. So the checksum reveals a damaged download; it does not
prove who made the archive.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import httpx

from toolchain import network
from toolchain.errors import StepFailedError
from toolchain.install_method import UnavailableError
from toolchain.progress import Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A published archive."""

    url: str
    sha256: str


def find(archive: str, checksums: str) -> Release:
    """Return an archive from the list at the URL `checksums`; it is published in the same folder.

    Raises:
        UnavailableError: when the list cannot be downloaded, or lacks the archive.
    """
    try:
        listed = network.fetch_text(checksums)
    except (httpx.HTTPError, OSError) as error:
        raise UnavailableError(f"{checksums} cannot be downloaded: {_words(error)}") from None
    for line in listed.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].removeprefix("*") == archive:
            return Release(url=f"{checksums.rpartition('/')[0]}/{archive}", sha256=words[0].lower())
    raise UnavailableError(f"{checksums} does not list {archive}")


def unpack(progress: Progress, release: Release, target: Path, wanted: Callable[[PurePosixPath], bool]) -> None:
    """Download an archive, and unpack its `wanted` files (never links) into a folder, without their paths.

    Raises:
        UnavailableError: when it cannot be downloaded.
        StepFailedError: when its checksum is not the published one.
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
            f"{release.url} has the checksum {found}, but {release.sha256} is published",
            fix=[
                "run it again",
                "if it happens again, something on this network changes downloads: ask its administrator",
            ],
        )
    with tarfile.open(archive) as opened:
        for member in opened:
            # By name alone, so that no path leads out of the folder.
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
