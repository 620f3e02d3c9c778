"""Stands in for a Docker engine in tests of operations, with makers of what it lists."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from operations.engine.protocol import (
    BuildRecord,
    Container,
    EngineFacts,
    Image,
    Inspection,
    Network,
    Output,
    Volume,
)


def container(name: str = "letta-dev-server-1a2b3c4", **changes: object) -> Container:
    """Return a healthy container of stack dev."""
    facts: dict[str, object] = {
        "id": f"id-{name}",
        "name": name,
        "image": "letta-platform.invalid/letta:0123456789ab",
        "image_id": "sha256:0123",
        "state": "running",
        "health": "healthy",
        "status": "Up 2 minutes (healthy)",
        "stack": "dev",
        "service": "letta",
    }
    return Container(**{**facts, **changes})  # type: ignore[arg-type]


def inspection(**changes: object) -> Inspection:
    """Return the inspection of a service that runs."""
    facts: dict[str, object] = {"is_job": False, "exit_code": 0, "restarts": 0, "memory_limit": 0}
    return Inspection(**{**facts, **changes})  # type: ignore[arg-type]


def engine_facts(**changes: object) -> EngineFacts:
    """Return the facts of an engine on a large machine."""
    facts: dict[str, object] = {
        "version": "20.10.24+dfsg1",
        "operating_system": "Debian",
        "storage_driver": "overlay2",
        "root": "/var/lib/docker",
        "cpus": 8,
        "memory": 64_000_000_000,
        "time": "2026-01-02T03:04:05.123456789Z",
        "registry_hosts": (),
    }
    return EngineFacts(**{**facts, **changes})  # type: ignore[arg-type]


@dataclass
class Chunks:
    """The output of a command."""

    content: list[bytes] = field(default_factory=list)
    closed: bool = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.content)

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeEngine:
    """Stands in for a Docker engine; what is removed is gone."""

    address: str = "unix:///var/run/docker.sock"
    is_local: bool = True
    all_containers: list[Container] = field(default_factory=list)
    inspections: dict[str, Inspection] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    all_volumes: list[Volume] = field(default_factory=list)
    all_networks: list[Network] = field(default_factory=list)
    all_images: list[Image] = field(default_factory=list)
    records: list[BuildRecord] = field(default_factory=list)
    outputs: list[Chunks] = field(default_factory=list)
    """What commands write that are run once, in order."""
    commands: list[tuple[str, ...]] = field(default_factory=list)
    """The commands that were run once."""
    started: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    cannot_start: str | None = None
    """Why no container can be started."""

    def facts(self) -> EngineFacts:
        return engine_facts()

    def containers(self, stack: str | None = None) -> tuple[Container, ...]:
        return tuple(one for one in self.all_containers if stack in (None, one.stack))

    def inspect(self, container: str) -> Inspection | None:
        return self.inspections.get(container, inspection())

    def memory_used(self, container: str) -> int | None:  # noqa: ARG002
        return 100_000_000

    def last_lines(self, container: str, count: int) -> str:
        return "\n".join(self.logs.get(container, "").splitlines()[-count:])

    def volumes(self, stack: str | None = None) -> tuple[Volume, ...]:
        return tuple(one for one in self.all_volumes if stack in (None, one.stack))

    def networks(self, stack: str | None = None) -> tuple[Network, ...]:
        return tuple(one for one in self.all_networks if stack in (None, one.stack))

    def images(self) -> tuple[Image, ...]:
        return tuple(self.all_images)

    def build_records(self) -> tuple[BuildRecord, ...]:
        return tuple(self.records)

    def start(self, container: str) -> str | None:
        if self.cannot_start is None:
            self.started.append(container)
            self._run(container)
        return self.cannot_start

    def restart(self, container: str) -> str | None:
        if self.cannot_start is None:
            self.restarted.append(container)
            self._run(container)
        return self.cannot_start

    def _run(self, container: str) -> None:
        self.all_containers = [
            replace(one, state="running", health="healthy") if one.id == container else one
            for one in self.all_containers
        ]

    def remove_container(self, container: str) -> None:
        self.all_containers = [one for one in self.all_containers if one.id != container]

    def remove_volume(self, name: str) -> None:
        self.all_volumes = [one for one in self.all_volumes if one.name != name]

    def remove_network(self, network: str) -> None:
        self.all_networks = [one for one in self.all_networks if one.id != network]

    def remove_image(self, image: str) -> None:
        self.all_images = [one for one in self.all_images if one.id != image]

    def prune_build_records(self, ids: Collection[str]) -> int:
        gained = sum(one.size for one in self.records if one.id in ids)
        self.records = [one for one in self.records if one.id not in ids]
        return gained

    def run_once(
        self,
        image: str,  # noqa: ARG002
        command: Sequence[str],
        *,
        stack: str,  # noqa: ARG002
        user: int,  # noqa: ARG002
        mounts: Mapping[str, str],  # noqa: ARG002
    ) -> Output:
        self.commands.append(tuple(command))
        return self.outputs.pop(0)
