"""What operations ask of a Docker engine, and the facts that they get: small enough to fake in tests.

`docker_engine` implements it with the Docker SDK.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import catalogue


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A port of the host that leads into a container."""

    address: str
    port: int
    internal: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """A container as the engine lists it."""

    id: str
    name: str
    image: str
    image_id: str
    state: str
    """created, running, paused, restarting, exited or dead."""
    health: str | None
    """healthy, unhealthy or starting; None when it is not running or has no health check."""
    status: str
    """The engine's own description, with times: `Up 2 minutes (healthy)`."""
    stack: str | None = None
    stack_id: str | None = None
    """Of which state's stack it is; see `operations.checks.leftovers`."""
    service: str | None = None
    published: tuple[Published, ...] = ()
    networks: tuple[str, ...] = ()
    """Names of the networks that it is in."""
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def holds_files_only(self) -> bool:
        """Whether it only lets the engine write a file bundle into a volume; it never runs."""
        return self.state == "created" and (self.service or "").endswith(catalogue.FILES_SUFFIX)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What the engine's list leaves out about a container."""

    is_job: bool
    """Runs to completion and is not restarted."""
    exit_code: int
    restarts: int
    memory_limit: int
    """Bytes; 0 without a limit."""
    error: str = ""
    """Why the engine could not start it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """A volume."""

    name: str
    stack: str | None
    stack_id: str | None
    service: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network."""

    id: str
    name: str
    stack: str | None
    stack_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image; its size includes the layers that it shares with others."""

    id: str
    tags: tuple[str, ...]
    size: int
    ours: bool
    """Whether it is one of the platform's, by name or label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildRecord:
    """A record of the engine's build cache."""

    id: str
    description: str
    parents: tuple[str, ...]
    size: int
    in_use: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineFacts:
    """The engine itself."""

    version: str
    operating_system: str
    storage_driver: str
    root: str
    cpus: int
    memory: int
    """Bytes."""
    time: str
    """RFC 3339."""
    registry_hosts: tuple[str, ...]
    """Hosts that it pulls from by default: mirrors, then its default registry."""
    warnings: tuple[str, ...] = ()


class EngineUnreachableError(Exception):
    """No engine answers; the text names its address and the reason."""


class Output(Protocol):
    """The output of a command, in chunks as they come. It runs when it is iterated over."""

    def __iter__(self) -> Iterator[bytes]:
        """Run the command and yield the chunks."""
        ...

    def close(self) -> None:
        """End the command, from any thread; the iteration then ends too."""
        ...


class Engine(Protocol):
    """A Docker engine."""

    address: str

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, with its ports and disks."""
        ...

    def facts(self) -> EngineFacts:
        """Return the engine's description of itself."""
        ...

    def containers(self, stack: str | None = None) -> tuple[Container, ...]:
        """Return containers, stopped ones too; of one stack, or all."""
        ...

    def inspect(self, container: str) -> Inspection | None:
        """Return the details of a container; None when it no longer exists."""
        ...

    def memory_used(self, container: str) -> int | None:
        """Return the bytes in use without the file cache; None when it does not run."""
        ...

    def last_lines(self, container: str, count: int) -> str:
        """Return the end of a container's log."""
        ...

    def volumes(self, stack: str | None = None) -> tuple[Volume, ...]:
        """Return volumes, of one stack or all."""
        ...

    def networks(self, stack: str | None = None) -> tuple[Network, ...]:
        """Return networks, of one stack or all."""
        ...

    def images(self) -> tuple[Image, ...]:
        """Return all images."""
        ...

    def build_records(self) -> tuple[BuildRecord, ...]:
        """Return the records of the build cache."""
        ...

    def start(self, container: str) -> str | None:
        """Start a container, or unpause it; return why the engine cannot, None when it did."""
        ...

    def restart(self, container: str) -> str | None:
        """Stop a container within a minute, and start it; return why the engine cannot, None when it did."""
        ...

    def remove_container(self, container: str) -> None:
        """Remove a container, running or not; no error when it does not exist."""
        ...

    def remove_volume(self, name: str) -> None:
        """Remove a volume; no error when it does not exist."""
        ...

    def remove_network(self, network: str) -> None:
        """Remove a network; no error when it does not exist."""
        ...

    def remove_image(self, image: str) -> None:
        """Remove an image by id, all its tags; no error when it does not exist."""
        ...

    def prune_build_records(self, ids: Collection[str]) -> int:
        """Remove records of the build cache, and return the bytes freed."""
        ...

    def run_once(
        self, image: str, command: Sequence[str], *, stack: str, user: int, mounts: Mapping[str, str]
    ) -> Output:
        """Run a command in a container without network, and return its standard output.

        The container is removed when the command has ended or the output is closed.

        Args:
            image: must be on the engine.
            command: program and arguments; never a secret among them.
            stack: the stack that it reads from; `catalogue.READER_LABEL` on the container names it.
            user: numeric user and group.
            mounts: name of a volume → the path at which it is mounted, read-only.
        """
        ...


def trouble(container: Container, inspection: Inspection | None) -> str | None:
    """Return what is wrong with a container of a stack; None when nothing is, or when it is still starting."""
    if container.state == "running":
        return "unhealthy" if container.health == "unhealthy" else None
    if container.holds_files_only or inspection is None:
        return None
    code, restarts = inspection.exit_code, inspection.restarts
    if container.state == "exited" and inspection.is_job and code == 0:
        return None
    return {
        "created": f"never started{': ' + inspection.error if inspection.error else ''}",
        "restarting": f"restarts repeatedly ({restarts} times, exit code {code})",
    }.get(container.state, f"{container.state} with exit code {code}")


def troubled(engine: Engine, containers: Collection[Container]) -> tuple[tuple[Container, str], ...]:
    """Return the containers with which something is wrong, and what; inspects only those that do not run."""
    found: list[tuple[Container, str]] = []
    for container in containers:
        if container.holds_files_only:
            continue
        inspection = None if container.state == "running" else engine.inspect(container.id)
        reason = trouble(container, inspection)
        if reason:
            found.append((container, reason))
    return tuple(found)
