"""What tests and benchmarks do with the engine directly: single containers, addresses, removal by label."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
from docker.models.containers import Container


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A container's exit code and what it wrote to standard output and standard error."""

    code: int
    output: str
    errors: str

    @property
    def log(self) -> str:
        """Both streams, one after the other."""
        return self.output + self.errors


def run_to_end(
    engine: docker.DockerClient,
    image: str,
    *command: str,
    files: Mapping[str, str] | None = None,
    seconds: int = 120,
    **options: Any,
) -> Ended:
    """Run a container until it exits, and remove it.

    `command` are the image's arguments, or none for its default. `files` are created in it before it starts,
    readable by every user, by absolute path. `options` are further ones of the SDK's `containers.create`.
    """
    container = engine.containers.create(image, list(command), **options)
    try:
        if files:
            container.put_archive("/", archive(files))
        container.start()
        code = container.wait(timeout=seconds)["StatusCode"]
        output, errors = (
            container.logs(stdout=stdout, stderr=not stdout).decode(errors="replace") for stdout in (True, False)
        )
        return Ended(code=code, output=output, errors=errors)
    finally:
        container.remove(force=True, v=True)


def archive(files: Mapping[str, str]) -> bytes:
    """Return a tar archive of these files (text by path), which every user may read."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o444
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def read_file(container: Container, path: str) -> str:
    """Return the text of a file in a container, which needs neither to run nor to have a shell."""
    stream, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        member = tar.extractfile(tar.getmembers()[0])
        assert member is not None
        return member.read().decode()


def host_address(engine: docker.DockerClient) -> str:
    """Return the address by which containers reach this machine: its address on the default bridge."""
    pool = engine.networks.get("bridge").attrs["IPAM"]["Config"][0]
    # An engine that did not create its bridge itself does not name the address; then it is the first one.
    return str(pool.get("Gateway") or next(ipaddress.ip_network(pool["Subnet"]).hosts()))


def remove_labelled(engine: docker.DockerClient, *labels: str) -> None:
    """Remove the containers, networks and volumes that have any of these labels (`key=value`)."""
    filters: list[Any] = [{"label": label} for label in labels]
    for one in filters:
        for container in engine.containers.list(all=True, filters=one, ignore_removed=True):
            with contextlib.suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
    for one in filters:
        for network in engine.networks.list(filters=one):
            with contextlib.suppress(docker.errors.NotFound):
                network.remove()
        for volume in engine.volumes.list(filters=one):
            with contextlib.suppress(docker.errors.NotFound):
                volume.remove(force=True)
