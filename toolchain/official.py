"""Brings Pulumi the way its makers publish it: the release that their installer unpacks, plugins by Pulumi itself.

The installer at https://get.pulumi.com is a script that unpacks a release and changes the user's shell profile.
What it unpacks is taken here directly: the version is the pinned one, the archive is compared with the checksums
that are published beside it, and no profile is touched.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import httpx

from toolchain import network
from toolchain.failure import StepFailedError
from toolchain.machine import Machine
from toolchain.progress import Progress
from toolchain.versions import Versions

URL = "https://get.pulumi.com"
URL_VARIABLE = "LETTA_PULUMI_INSTALLER_URL"
_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A published archive."""

    url: str
    sha256: str


class UnavailableError(Exception):
    """The official way cannot be taken here; the text says why."""


def find_release(version: str, machine: Machine, environ: Mapping[str, str]) -> Release:
    """Ask for the release, which also tells whether its host can be reached at all.

    Raises:
        UnavailableError: when there is none for this machine, or it cannot be reached.
    """
    system, architecture = _SYSTEMS.get(machine.system), _ARCHITECTURES.get(machine.architecture)
    if not system or not architecture:
        raise UnavailableError(f"Pulumi publishes nothing for {machine.system} on {machine.architecture}")
    folder = f"{environ.get(URL_VARIABLE) or URL}/releases/sdk"
    checksums = f"{folder}/pulumi-{version}-checksums.txt"
    archive = f"pulumi-v{version}-{system}-{architecture}.tar.gz"
    try:
        listed = network.fetch_text(checksums)
    except (httpx.HTTPError, OSError) as error:
        raise UnavailableError(f"{checksums} cannot be had: {_words(error)}") from None
    for line in listed.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].removeprefix("*") == archive:
            return Release(url=f"{folder}/{archive}", sha256=words[0].lower())
    raise UnavailableError(f"{checksums} does not list {archive}")


def install(
    progress: Progress, versions: Versions, release: Release, folder: Path, environ: Mapping[str, str]
) -> None:
    """Unpack the release into `folder/bin`, and let Pulumi download the plugins to where it keeps them.

    Raises:
        UnavailableError: when the archive or a plugin cannot be downloaded.
        StepFailedError: when the archive is not the published one.
    """
    archive = folder / "pulumi.tar.gz"
    with progress.step(f"downloading {release.url}"):
        try:
            found = network.download(release.url, archive, progress)
        except (httpx.HTTPError, OSError) as error:
            raise UnavailableError(f"{release.url} cannot be downloaded: {_words(error)}") from None
    if found != release.sha256:
        raise StepFailedError(
            f"{release.url} has the checksum {found}, and {release.sha256} is the published one",
            cure=["run it again", "the same again: do not use it, and ask who changes downloads on this network"],
        )
    _unpack(archive, folder / "bin")
    archive.unlink()
    install_plugins(progress, versions, folder / "bin" / "pulumi", environ)


def install_plugins(progress: Progress, versions: Versions, pulumi: Path, environ: Mapping[str, str]) -> None:
    """Let Pulumi download the plugins.

    Raises:
        UnavailableError: when one cannot be had.
    """
    for plugin in versions.plugins:
        with progress.step(f"downloading plugin {plugin.name} {plugin.version}"):
            try:
                progress.run(
                    [pulumi, "plugin", "install", plugin.kind, plugin.name, plugin.version],
                    log=f"plugin-{plugin.name}",
                    environment={**environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
                )
            except StepFailedError as error:
                said = error.tail[-1] if error.tail else error.problem
                raise UnavailableError(f"plugin {plugin.name} {plugin.version} cannot be had: {said}") from None


def _unpack(archive: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    with tarfile.open(archive) as opened:
        for member in opened:
            # Files of the one folder that the release consists of; by name, so that nothing leads elsewhere.
            path = PurePosixPath(member.name)
            content = opened.extractfile(member) if member.isfile() and path.parts[:1] == ("pulumi",) else None
            if content is None:
                continue
            file = target / path.name
            with file.open("wb") as unpacked:
                shutil.copyfileobj(content, unpacked)
            file.chmod(0o755)
    if not (target / "pulumi").is_file():
        raise StepFailedError(f"no program `pulumi` in {archive.name}")


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
