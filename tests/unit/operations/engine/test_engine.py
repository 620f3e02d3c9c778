"""Facts from a Docker engine: how its answers are read, and which containers are unwell. Holds the fake engine."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import pytest

import catalogue
from operations.engine.docker_engine import (
    parse_build_record,
    parse_container,
    parse_facts,
    parse_inspection,
    parse_memory,
)
from operations.engine.protocol import (
    BuildRecord,
    Container,
    Engine,
    EngineFacts,
    FileStream,
    Image,
    Inspection,
    Network,
    Published,
    Volume,
    trouble,
    troubled,
)
from runtime.engine import EngineRuntime

pytestmark = pytest.mark.unit


def container(name: str = "letta-dev-server-1a2b3c4", **changes: object) -> Container:
    """Give a healthy container of stack dev."""
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
    """Give a look at a service that runs."""
    facts: dict[str, object] = {"is_job": False, "exit_code": 0, "restarts": 0, "memory_limit": 0}
    return Inspection(**{**facts, **changes})  # type: ignore[arg-type]


@dataclass
class Chunks:
    """A file's content."""

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
    files: list[Chunks] = field(default_factory=list)

    def facts(self) -> EngineFacts:
        raise NotImplementedError

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

    def read_file(
        self,
        *,
        image: str,  # noqa: ARG002
        stack: str,  # noqa: ARG002
        volume: str,  # noqa: ARG002
        path: str,  # noqa: ARG002
        lines: int,  # noqa: ARG002
        follow: bool,  # noqa: ARG002
    ) -> FileStream:
        return self.files.pop(0)


def test_the_fake_is_an_engine_to_the_type_checker() -> None:
    engine: Engine = FakeEngine()
    assert engine.is_local


def test_a_listed_container_is_read_with_its_health_stack_and_ports() -> None:
    found = parse_container(
        {
            "Id": "abc",
            "Names": ["/letta-dev-nginx-1"],
            "Image": "x",
            "ImageID": "sha256:1",
            "State": "running",
            "Status": "Up 3 seconds (health: starting)",
            "Labels": {catalogue.STACK_LABEL: "dev", catalogue.SERVICE_LABEL: "nginx"},
            "Ports": [
                {"IP": "127.0.0.1", "PrivatePort": 8080, "PublicPort": 8283, "Type": "tcp"},
                {"PrivatePort": 8081, "Type": "tcp"},
            ],
        }
    )
    assert (found.name, found.health, found.stack, found.service) == (
        "letta-dev-nginx-1",
        "starting",
        "dev",
        "nginx",
    )
    assert found.published == (Published(address="127.0.0.1", port=8283, internal=8080),)


def test_a_container_without_labels_names_or_ports_is_read_too() -> None:
    raw = {"Id": "0123456789abcdef", "Names": None, "State": "exited", "Status": "Exited (0)", "Labels": None}
    found = parse_container(raw)
    assert (found.name, found.health, found.stack, found.published) == ("0123456789ab", None, None, ())


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ({"usage": 100, "stats": {"inactive_file": 30}}, 70),
        ({"usage": 100, "stats": {"total_inactive_file": 40}}, 60),
        ({"usage": 100}, 100),
        ({}, None),
    ],
    ids=["cgroup 2", "cgroup 1", "no details", "stopped"],
)
def test_memory_is_counted_without_the_file_cache(memory: dict[str, object], expected: int | None) -> None:
    assert parse_memory({"memory_stats": memory}) == expected


def test_hosts_the_engine_pulls_from_are_its_mirrors_then_its_default() -> None:
    facts = parse_facts(
        {
            "ServerVersion": "26.1.5",
            "RegistryConfig": {"Mirrors": ["https://mirror.example:5000/"]},
            "IndexServerAddress": "https://index.example/v1/",
        }
    )
    assert facts.registry_hosts == ("mirror.example", "index.example")


def test_parents_of_build_cache_are_read_from_old_and_new_engines() -> None:
    assert parse_build_record({"ID": "b", "Parent": "a"}).parents == ("a",)
    assert parse_build_record({"ID": "b", "Parents": ["a", "c"]}).parents == ("a", "c")
    assert parse_build_record({"ID": "b"}).parents == ()


@pytest.mark.parametrize(("policy", "is_job"), [("no", True), ("", True), ("unless-stopped", False)])
def test_what_is_not_restarted_is_a_job(policy: str, is_job: bool) -> None:
    raw = {"State": {"ExitCode": 0}, "HostConfig": {"RestartPolicy": {"Name": policy}}}
    assert parse_inspection(raw).is_job is is_job


@pytest.mark.parametrize(
    ("changes", "look", "expected"),
    [
        ({}, {}, None),
        ({"health": "starting"}, {}, None),
        ({"health": "unhealthy"}, {}, "unhealthy"),
        ({"state": "exited", "health": None}, {"is_job": True}, None),
        ({"state": "exited", "health": None}, {"is_job": True, "exit_code": 1}, "exited with exit code 1"),
        ({"state": "exited", "health": None}, {}, "exited with exit code 0"),
        (
            {"state": "restarting", "health": None},
            {"restarts": 7, "exit_code": 2},
            "restarts over and over (7 times, exit code 2)",
        ),
        (
            {"state": "created", "health": None},
            {"error": "port is already allocated"},
            "never started: port is already allocated",
        ),
        ({"state": "created", "health": None, "service": "letta-files"}, {}, None),
    ],
    ids=[
        "healthy",
        "starting",
        "unhealthy",
        "succeeded job",
        "failed job",
        "stopped service",
        "crash loop",
        "never started",
        "file bundle",
    ],
)
def test_what_is_wrong_with_a_container_is_said_in_words(
    changes: dict[str, object], look: dict[str, object], expected: str | None
) -> None:
    assert trouble(container("a", **changes), inspection(**look)) == expected


def test_only_containers_that_do_not_run_are_looked_at_closer() -> None:
    asked: list[str] = []

    class Counting(FakeEngine):
        def inspect(self, container: str) -> Inspection | None:
            asked.append(container)
            return inspection(exit_code=3)

    well, dead = container("a"), container("b", state="exited", health=None)
    assert troubled(Counting(), [well, dead]) == ((dead, "exited with exit code 3"),)
    assert asked == ["id-b"]


def test_the_labels_looked_for_are_the_labels_that_the_runtime_sets() -> None:
    runtime = EngineRuntime.__new__(EngineRuntime)
    runtime._stack = "dev"
    assert runtime._labels("x-files") == {catalogue.STACK_LABEL: "dev", catalogue.SERVICE_LABEL: "x-files"}
