"""What a service needs, as data. Nothing here knows Docker; `runtime.engine` turns it into resources.

The hardening baseline (read-only root, no capabilities, no new privileges, init, memory limit with equal
swap, log rotation, restart policy, labels) is not spelled out by a service: it is what every service gets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import pulumi


class Rollout(StrEnum):
    """How a changed service takes the place of the running one."""

    ROLLING = "rolling"
    """Create the new one, wait until it is healthy, then drain and remove the old one."""
    STOP_FIRST = "stop-first"
    """Stop the old one first: it owns a data volume or a host port that two cannot share."""
    JOB = "job"
    """Run to completion. Its failure fails the update, and the next update runs it again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthCheck:
    """A command inside the container that exits with 0 when the service can do its work."""

    command: tuple[str, ...]
    interval_seconds: float = 5
    """Engines before version 25 use it while a service starts too, so it delays whatever waits for the service;
    but each check starts a process in the container, which is what an idle stack spends its CPU on."""
    timeout_seconds: int = 3
    retries: int = 3
    start_period_seconds: int = 30
    """Failures within this time after the start do not count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tmpfs:
    """A file system in memory; it counts against the service's memory limit."""

    path: str
    size_mb: int
    executable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """A volume (by name) or, when `source` starts with a slash, a folder of the host."""

    source: pulumi.Input[str]
    path: str
    read_only: bool = False
    host_folder: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class FileBundle:
    """Files, secret or not, that a service finds read-only below `path`.

    A bundle never changes: another content is another bundle, and the services that mount it are replaced
    after their rollout kind. Values are not shown by `docker inspect` and not written in clear to the state.
    """

    name: str
    path: str
    files: Mapping[str, pulumi.Input[str]]
    """File name → content. An empty content is not possible (the provider refuses it)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """Membership in a network, and the names by which other members find the service there."""

    network: pulumi.Input[str]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedPort:
    """A port of the host that leads to a port of the service."""

    internal: int
    external: int
    address: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ConcurrentJob:
    """A JOB beside which a service starts, since the service waits by itself for what the JOB does."""

    job: str
    """Its `service`. When it fails, the start that waits for it has failed, too, at once."""
    deadline_seconds: int
    """What the JOB may take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSpec:
    """Everything that distinguishes one service from another."""

    service: str
    """Short name; it is the value of the label `letta-platform.service`."""
    image: pulumi.Input[str]
    user: int
    """Numeric user and group of the process, and owner of its file bundles."""
    memory_mb: int
    rollout: Rollout
    command: tuple[pulumi.Input[str], ...] = ()
    """Arguments for the image's entrypoint; of a JOB the whole command."""
    health: HealthCheck | None = None
    """A JOB has none of its own: it is healthy when it has succeeded."""
    cpus: float | None = None
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Never secrets: `docker inspect` shows it."""
    bundles: tuple[FileBundle, ...] = ()
    mounts: tuple[Mount, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    networks: tuple[Attachment, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    drain_seconds: int = 10
    """How long it may take to stop before it is killed."""
    stop_signal: str = "SIGTERM"
    deadline_seconds: int = 180
    """How long a new one may take until it is healthy (a JOB: until it has succeeded)."""
    startup_gate: ConcurrentJob | None = None
    """The JOB beside which it starts; its own time counts from that one's end."""
    shared_memory_mb: int = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningService:
    """A service that was healthy when it was created."""

    name: pulumi.Output[str]
    """The name under which its own container is reached on the networks it is attached to."""
    resource: pulumi.Resource
    """What others depend on to start after it."""
    files: tuple[Mount, ...] = ()
    """Its file bundles, for services of the same user that read the same."""


class Runtime(Protocol):
    """Where services run. `name` is always the logical name of the resource."""

    def network(
        self, name: str, *, internal: bool, subnet: str | None, parent: pulumi.Resource
    ) -> pulumi.Output[str]:
        """Create a network and return the name to attach services to."""
        ...

    def data_volume(self, name: str, *, protect: bool, parent: pulumi.Resource) -> pulumi.Resource:
        """Create the volume called `name` for data that must outlive containers.

        A volume of that name that belongs to another stack is refused, never adopted.
        """
        ...

    def scratch_volume(self, name: str, *, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Create a volume whose content can be made again, and return its name."""
        ...

    def run(
        self,
        name: str,
        spec: ServiceSpec,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
        replace_with: Sequence[pulumi.Resource] = (),
    ) -> RunningService:
        """Run a service; the result is there when the service is healthy."""
        ...
