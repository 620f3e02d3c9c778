"""Installs Pulumi as its publisher releases it; Pulumi itself downloads its plugins.

The installer at https://get.pulumi.com is a script that unpacks a release and changes the user's shell profile.
This module downloads the same archive directly: the pinned version, compared with the checksum published next to
it, without touching any profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from toolchain import releases
from toolchain.errors import StepFailedError
from toolchain.install_method import UnavailableError
from toolchain.machine import Machine
from toolchain.progress import Progress
from toolchain.releases import Release
from toolchain.versions import Versions

URL = "https://get.pulumi.com"
URL_VARIABLE = "LETTA_PULUMI_INSTALLER_URL"
_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def find_release(version: str, machine: Machine, environ: Mapping[str, str]) -> Release:
    """Return the release; asking for it also shows whether its host can be reached at all.

    Raises:
        UnavailableError: when there is none for this machine, or it cannot be reached.
    """
    system, architecture = _SYSTEMS.get(machine.system), _ARCHITECTURES.get(machine.architecture)
    if not system or not architecture:
        raise UnavailableError(f"Pulumi publishes nothing for {machine.system} on {machine.architecture}")
    return releases.find(
        f"pulumi-v{version}-{system}-{architecture}.tar.gz",
        f"{environ.get(URL_VARIABLE) or URL}/releases/sdk/pulumi-{version}-checksums.txt",
    )


def install(
    progress: Progress, versions: Versions, release: Release, folder: Path, environ: Mapping[str, str]
) -> None:
    """Unpack the release into `folder/bin`, and let Pulumi download the plugins into its own home.

    Raises:
        UnavailableError: when the archive or a plugin cannot be downloaded.
        StepFailedError: when the archive is not the published one.
    """
    programs = folder / "bin"
    # The release consists of one folder.
    releases.unpack(progress, release, programs, lambda path: path.parts[:1] == ("pulumi",))
    if not (programs / "pulumi").is_file():
        raise StepFailedError(f"{release.url} contains no program `pulumi`")
    install_plugins(progress, versions, programs / "pulumi", environ)


def install_plugins(progress: Progress, versions: Versions, pulumi: Path, environ: Mapping[str, str]) -> None:
    """Let Pulumi download the plugins.

    Raises:
        UnavailableError: when one cannot be downloaded.
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
                cause = error.tail[-1] if error.tail else error.problem
                raise UnavailableError(
                    f"plugin {plugin.name} {plugin.version} cannot be downloaded: {cause}"
                ) from None
