"""What a service needs, as data, and the `Runtime` that provides it. Nothing here knows Docker.

A service does not spell out the hardening baseline (read-only root, no capabilities, no new privileges, init,
memory limit with equal swap, log rotation, restart policy, labels): every service gets it from its runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import pulumi


class Rollout(StrEnum):
    """How a changed service replaces the running one."""

    ROLLING = "rolling"
    """Create the new one, wait until it is healthy, then drain and remove the old one."""
    STOP_FIRST = "stop-first"
    """Stop the old one first: it owns a data volume or a host port that two cannot share."""
    JOB = "job"
    """Run to completion. If it fails, the update fails, and the next update runs it again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a service may use at most."""

    memory_mb: int
    """In MiB; swap is not added to it."""
    cpus: float | None = None
    """At most two decimals, from 10 on at most one; None for no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthCheck:
    """A command inside the container that exits with 0 when the service can do its work."""

    command: tuple[str, ...]
    interval_seconds: float = 5
    """Docker before version 25 also uses it while a service starts, so it delays whatever waits for the service;
    but each check starts a process, which is what an idle stack spends its CPU time on."""
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
class Volume:
    """A volume that services can mount."""

    name: pulumi.Input[str]
    resource: pulumi.Resource
    """Exists once the volume and its initial content exist; services that mount it wait for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """A volume at a path in the container."""

    volume: Volume
    path: str
    read_only: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class HostFolder:
    """A folder of the machine, read-only at a path in the container."""

    source: str
    """Absolute path on the machine."""
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FileBundle:
    """Files, secret or not, that services find read-only in one folder.

    A bundle never changes: other content is another bundle, and the services that mount it are replaced according
    to their rollout. The content is neither shown with a service's configuration nor stored in clear in the state.
    """

    service: str
    """The service that it is made for (`ServiceSpec.service`); others may mount it, too."""
    owner: int
    """Numeric user and group that alone may read the files."""
    path: str
    """The folder in every container that mounts it."""
    files: Mapping[str, pulumi.Input[str]]
    """File name → content. Empty content is not possible (the Docker provider refuses it)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """A bundle that a runtime has created, for services to mount."""

    name: pulumi.Input[str]
    """The runtime's identifier of it."""
    path: str
    resource: pulumi.Resource
    """Exists once the files can be read; services that mount them wait for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """Membership in a network, and the names by which other members find the service there."""

    network: pulumi.Input[str]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedPort:
    """A port of the machine that leads to a port of the service."""

    internal: int
    external: int
    address: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ConcurrentJob:
    """A job that runs while a service starts; the service itself waits for the job's result."""

    job: str
    """Its `service`. If it fails, the start of the service has failed at once, too."""
    deadline_seconds: int
    """How long the job may take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSpec:
    """Everything that distinguishes one service from another."""

    service: str
    """Short name; the value of the label `catalogue.SERVICE_LABEL`."""
    image: pulumi.Input[str]
    user: int
    """Numeric user and group of the process."""
    limits: Limits
    rollout: Rollout
    command: tuple[pulumi.Input[str], ...] = ()
    """Arguments for the image's entrypoint; for a job the complete command."""
    health: HealthCheck | None = None
    """A job has none of its own: it is healthy when it has succeeded."""
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Never secrets: a runtime shows it to everyone who may look at a service."""
    files: tuple[Files, ...] = ()
    mounts: tuple[Mount | HostFolder, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    networks: tuple[Attachment, ...] = ()
    reaches_machine: bool = False
    """Whether it finds the machine by the name `catalogue.MACHINE`; for services that reach the outside."""
    ports: tuple[PublishedPort, ...] = ()
    drain_seconds: int = 10
    """How long it may take to stop before it is killed."""
    stop_signal: str = "SIGTERM"
    deadline_seconds: int = 180
    """How long a new one may take to become healthy (a job: to succeed)."""
    startup_gate: ConcurrentJob | None = None
    """A job that runs while this service starts; the service's deadline counts from the end of that job."""
    shared_memory_mb: int = 64

    @property
    def mounted(self) -> list[pulumi.Resource]:
        """What it waits for because it mounts it: volumes with their content, and files."""
        volumes = [mount.volume.resource for mount in self.mounts if isinstance(mount, Mount)]
        return [*volumes, *(files.resource for files in self.files)]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningService:
    """A service that was healthy when it was created."""

    name: pulumi.Output[str]
    """The name under which this service alone, without others of the same alias, is reached on its networks."""
    resource: pulumi.Resource
    """What others depend on to start after it."""


class Runtime(Protocol):
    """What runs services. `name` is always the logical name of the resource."""

    def network(
        self, name: str, *, internal: bool, subnet: str | None, parent: pulumi.Resource
    ) -> pulumi.Output[str]:
        """Create a network; return the name to attach services to."""
        ...

    def data_volume(
        self,
        name: str,
        *,
        protect: bool,
        parent: pulumi.Resource,
        former_parents: Sequence[pulumi.Input[str]] = (),
    ) -> Volume:
        """Create the volume called `name` for data that must outlive containers.

        A volume of that name that belongs to another stack is refused, never adopted. One that the state has as a
        child of one of `former_parents` (URNs) is this volume.
        """
        ...

    def scratch_volume(self, name: str, *, parent: pulumi.Resource) -> Volume:
        """Create a volume whose content can be recreated."""
        ...

    def files(self, name: str, bundle: FileBundle, *, parent: pulumi.Resource) -> Files:
        """Create a bundle of files."""
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
        """Run a service after its mounts, files and `depends_on`; replace it whenever one of `replace_with` is.

        The result's resource exists once the service is healthy; a job's, once it has succeeded.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeArgs:
    """What a runtime needs to know of the stack that it serves."""

    stack: str
    """Pulumi's name of the stack."""
    stack_id: pulumi.Input[str]
    """Distinguishes stacks of the same name."""
    bundle_key: pulumi.Input[str]
    """Secret key of the digests that distinguish bundles of files."""
    base_image: pulumi.Input[str]
    """An image that names no user and exists before any service does."""
