"""What the platform consists of, as plain data: services, images, labels, the images' registry.

Settings, components, operations, docs and tests read it; none of them has a list of services of its own.
It imports nothing of the project, so that `make status` need not load the Pulumi SDK to know a label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

STACK_LABEL = "letta-platform.stack"
STACK_ID_LABEL = "letta-platform.stack-id"
SERVICE_LABEL = "letta-platform.service"
IMAGE_LABEL = "letta-platform.image"
CONTENT_LABEL = "letta-platform.content"
"""On the volume of a file bundle; the value is a keyed digest of its files."""
READER_LABEL = "letta-platform.reader"
"""On temporary containers that read a stack's volume; the value is the stack's name."""

SCRATCH_SERVICE = "scratch"
"""Value of `SERVICE_LABEL` on volumes whose content can be recreated."""
DATA_SERVICE = "data"
"""Value of `SERVICE_LABEL` on volumes whose content cannot be recreated."""
FILES_SUFFIX = "-files"
"""End of the value of `SERVICE_LABEL` on file bundles: a volume, and a container that never runs."""

MACHINE = "host.docker.internal"
"""The machine's name in services that reach the outside: there, localhost is the container itself."""

REGISTRY = "letta-platform.invalid"
"""Reserved by RFC 2606: no registry can ever serve it, so a missing image is an error and not a surprise."""
IMAGE_PREFIX = f"{REGISTRY}/"
DEBIAN_IMAGE = f"{REGISTRY}/debian:trixie"
"""The Debian base image, as `make toolchain` provides it."""
BASE_IMAGE_NAME = "base"
"""The image in `images/` that all others are built on."""


POSTGRES_DATA = "postgres-data"
LOGS = "logs"
"""The servers' log files."""
TRACES = "traces"
"""What the collector's file exporters write."""
QUEUES = ("collector-queue", "collector-1-queue")
"""One for each collector that a stack may have (`collectorReplicas`)."""


class Composition(StrEnum):
    """Which services a stack runs (setting `services`)."""

    ALL = "all"
    DATA = "data"


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A service that runs for as long as its stack does."""

    name: str
    """Value of `SERVICE_LABEL`, folder of its image in `images/`, and prefix of its settings (as in
    `postgresMemoryMb`)."""
    user: int
    """Numeric user and group of its process, and owner of its files."""
    memory_mb: int
    """Default memory limit in MiB."""
    runs_with: frozenset[Composition] = frozenset({Composition.ALL})
    publishes_with: frozenset[Composition] = frozenset({Composition.ALL})
    """The compositions in which its ports are published."""
    ports: tuple[str, ...] = ()
    """Settings of its published ports."""
    replicas: str | None = None
    """Setting of the number of its replicas; None for always one."""
    data_volumes: tuple[str, ...] = ()
    """Volumes with data that cannot be recreated, without the prefix `letta-<stack>-`; they exist with every
    setting."""

    @property
    def memory(self) -> str:
        """The setting of its memory limit in MiB."""
        return f"{self.name}MemoryMb"

    @property
    def cpus(self) -> str:
        """The setting of its CPU limit; a service may do without one."""
        return f"{self.name}Cpus"


POSTGRES = Service(
    name="postgres",
    user=10002,
    memory_mb=512,
    runs_with=frozenset(Composition),
    publishes_with=frozenset({Composition.DATA}),
    ports=("postgresPort",),
    data_volumes=(POSTGRES_DATA,),
)
REDIS = Service(
    name="redis",
    user=10003,
    memory_mb=128,
    runs_with=frozenset(Composition),
    publishes_with=frozenset({Composition.DATA}),
    ports=("redisPort",),
)
LETTA = Service(name="letta", user=10001, memory_mb=1536, replicas="lettaReplicas", data_volumes=(LOGS,))
COLLECTOR = Service(
    name="collector",
    user=10005,
    memory_mb=256,
    ports=("otlpGrpcPort", "otlpHttpPort", "collectorHealthPort", "collectorMetricsPort"),
    replicas="collectorReplicas",
    data_volumes=(TRACES, *QUEUES),
)
NGINX = Service(name="nginx", user=10004, memory_mb=64, ports=("apiPort",))

SERVICES = (POSTGRES, REDIS, LETTA, COLLECTOR, NGINX)


def services(composition: Composition) -> tuple[Service, ...]:
    """Return the services that a stack of this composition runs."""
    return tuple(service for service in SERVICES if composition in service.runs_with)


def images(composition: Composition) -> frozenset[str]:
    """Return the names of the images that a stack of this composition needs, the base image among them."""
    return frozenset({BASE_IMAGE_NAME, *(service.name for service in services(composition))})


def published_ports(composition: Composition) -> tuple[str, ...]:
    """Return the settings of the ports that a stack of this composition publishes."""
    return tuple(port for service in SERVICES if composition in service.publishes_with for port in service.ports)


def data_volumes(stack: str) -> Iterator[str]:
    """Yield the full names of all volumes in which a stack keeps data that cannot be recreated."""
    for service in SERVICES:
        for volume in service.data_volumes:
            yield f"letta-{stack}-{volume}"
