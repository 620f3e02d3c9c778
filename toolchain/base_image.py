"""The Debian base image: pulled where a registry is reachable, otherwise bootstrapped from Debian's packages."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from toolchain import system_packages
from toolchain.errors import StepFailedError
from toolchain.machine import Machine
from toolchain.progress import Progress

REPOSITORY = "letta-platform.invalid/debian"
RELEASE = "trixie"
NAME = f"{REPOSITORY}:{RELEASE}"
PULLED = ("debian", f"{RELEASE}-slim")
MIRROR_VARIABLE = "LETTA_DEBIAN_MIRROR"
BOOTSTRAP = ("mmdebstrap", "--variant=minbase", "--include=ca-certificates")
LABELS = {"letta-platform.image": "debian"}
_STALLED_SECONDS = 30
_SLOW_SECONDS = 600


class Images(Protocol):
    """The engine's images, as far as this module uses them."""

    def present(self, name: str) -> bool:
        """Whether there is an image of this name."""

    def pull(self, repository: str, tag: str) -> str:
        """Pull an image and return its name with digest. Raises PullError."""

    def tag(self, source: str, repository: str, tag: str) -> None:
        """Add a name to an image."""

    def load(self, tarball: Path, repository: str, tag: str, labels: Mapping[str, str]) -> None:
        """Create an image from a tarball of its file tree."""


class PullError(Exception):
    """The image cannot be pulled; the text says why."""


class EngineImages:
    """The images of the engine at `host`."""

    def __init__(self, host: str, environ: Mapping[str, str] = os.environ) -> None:
        import docker
        import docker.utils

        settings = docker.utils.kwargs_from_env(environment={**environ, "DOCKER_HOST": host})
        ssh = host.startswith("ssh://")

        def connect(timeout: int) -> Any:
            return docker.APIClient(**settings, version="auto", timeout=timeout, use_ssh_client=ssh)

        self._impatient = connect(_STALLED_SECONDS)
        self._patient = connect(_SLOW_SECONDS)

    def present(self, name: str) -> bool:
        """See `Images`."""
        return bool(self._impatient.images(name=name))

    def pull(self, repository: str, tag: str) -> str:
        """See `Images`."""
        import docker.errors
        import requests.exceptions
        import urllib3.exceptions

        try:
            for event in self._impatient.pull(repository, tag=tag, stream=True, decode=True):
                if "error" in event:
                    raise PullError(event["error"])
            digests = self._impatient.inspect_image(f"{repository}:{tag}").get("RepoDigests") or [""]
        except (
            docker.errors.DockerException,
            requests.exceptions.RequestException,
            urllib3.exceptions.HTTPError,
        ) as error:
            raise PullError(str(getattr(error, "explanation", None) or error)) from None
        return str(digests[0])

    def tag(self, source: str, repository: str, tag: str) -> None:
        """See `Images`."""
        self._impatient.tag(source, repository, tag)

    def load(self, tarball: Path, repository: str, tag: str, labels: Mapping[str, str]) -> None:
        """See `Images`."""
        import docker.errors

        changes = [f'LABEL {key}="{value}"' for key, value in labels.items()]
        changes += ['CMD ["/bin/bash"]', "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        try:
            self._patient.import_image(src=str(tarball), repository=repository, tag=tag, changes=changes)
        except docker.errors.APIError as error:
            raise StepFailedError(f"the engine rejected the base image: {error.explanation}") from None


def ensure(progress: Progress, machine: Machine, images: Images, environ: Mapping[str, str]) -> None:
    """Pull or build the base image unless the engine has it.

    Args:
        progress: where to report.
        machine: what this machine is, and what may be installed on it.
        images: the engine's images.
        environ: environment variables, among them the mirror.

    Raises:
        StepFailedError: when it can neither be pulled nor built.
    """
    if images.present(NAME):
        return
    repository, tag = PULLED
    with progress.step(f"Debian base image {NAME}"):
        try:
            digest = images.pull(repository, tag)
        except PullError as error:
            progress.say(f"cannot be pulled: {str(error)[:200]}")
            _bootstrap(progress, machine, images, environ, str(error)[:200])
        else:
            images.tag(f"{repository}:{tag}", REPOSITORY, RELEASE)
            progress.say(f"install method: pulled as {digest or f'{repository}:{tag}'}")


def _bootstrap(progress: Progress, machine: Machine, images: Images, environ: Mapping[str, str], why: str) -> None:
    if "mmdebstrap" not in machine.programs:
        if machine.why_no_packages:
            raise StepFailedError(
                f"the base image cannot be pulled ({why}), nor built here: mmdebstrap is missing, "
                f"and cannot be installed because {machine.why_no_packages}",
                fix=[
                    "give the engine access to a registry, or name an image that it has or can pull: "
                    "`pulumi config set baseImage REFERENCE` (Debian trixie)",
                    "or on Debian and Ubuntu, as root: apt-get update && apt-get install mmdebstrap",
                ],
            )
        system_packages.install(progress, machine, ("mmdebstrap",), why="builds the base image", recommended=True)
    mirror = [environ[MIRROR_VARIABLE]] if environ.get(MIRROR_VARIABLE) else []
    progress.say("install method: bootstrapped with mmdebstrap from Debian's packages")
    with tempfile.TemporaryDirectory(prefix="letta-platform-base-") as folder:
        tarball = Path(folder) / "debian.tar"
        progress.run(
            [*BOOTSTRAP, RELEASE, "-", *mirror],
            log="base-image",
            output=tarball,
            environment={**environ, "PATH": f"{environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"},
            fix=[
                f"Debian's package mirror must be reachable; set {MIRROR_VARIABLE} to use another one",
                "or use an image that the engine has: `pulumi config set baseImage REFERENCE`",
            ],
        )
        today = datetime.now(UTC).date().isoformat()
        images.load(tarball, REPOSITORY, RELEASE, {**LABELS, "letta-platform.bootstrapped": today})
