"""Facts from a Docker engine: how its answers are read, and which containers are unwell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import catalogue
from operations.engine.answers import (
    parse_build_record,
    parse_container,
    parse_facts,
    parse_inspection,
    parse_memory,
)
from operations.engine.docker_engine import DockerEngine
from operations.engine.protocol import Engine, Inspection, Output, Published, trouble, troubled
from testbed.fake_engine import FakeEngine, container, inspection

pytestmark = pytest.mark.unit


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
            "restarts repeatedly (7 times, exit code 2)",
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
def test_what_is_wrong_with_a_container_is_described(
    changes: dict[str, object], look: dict[str, object], expected: str | None
) -> None:
    assert trouble(container("a", **changes), inspection(**look)) == expected


def test_only_containers_that_do_not_run_are_inspected() -> None:
    asked: list[str] = []

    class Counting(FakeEngine):
        def inspect(self, container: str) -> Inspection | None:
            asked.append(container)
            return inspection(exit_code=3)

    well, dead = container("a"), container("b", state="exited", health=None)
    assert troubled(Counting(), [well, dead]) == ((dead, "exited with exit code 3"),)
    assert asked == ["id-b"]


class FakeApi:
    """The part of the Docker SDK's client that runs a container once."""

    def __init__(self) -> None:
        self.created: dict[str, Any] = {}
        self.calls: list[str] = []

    def create_host_config(self, **options: Any) -> dict[str, Any]:
        return options

    def create_container(self, image: str, **options: Any) -> dict[str, str]:
        self.created = {"image": image, **options}
        return {"Id": "c"}

    def attach(self, container: str, **_: Any) -> Iterator[bytes]:
        self.calls.append(f"attach {container}")
        return iter([b"one", b"two"])

    def start(self, container: str) -> None:
        self.calls.append(f"start {container}")

    def remove_container(self, container: str, **_: Any) -> None:
        self.calls.append(f"remove {container}")


def run_once(api: FakeApi) -> Output:
    engine = DockerEngine.__new__(DockerEngine)
    engine._api = api  # type: ignore[assignment]
    return engine.run_once("image", ("tail", "x"), stack="dev", user=10005, mounts={"letta-dev-traces": "/volume"})


def test_a_container_that_runs_once_may_only_read_and_carries_the_label_of_readers() -> None:
    run_once(api := FakeApi())
    created, host = api.created, api.created["host_config"]
    assert (created["image"], created["command"], created["user"]) == ("image", ["tail", "x"], "10005:10005")
    assert created["labels"] == {catalogue.READER_LABEL: "dev"}
    assert host["binds"] == {"letta-dev-traces": {"bind": "/volume", "mode": "ro"}}
    assert (host["network_mode"], host["read_only"], host["cap_drop"]) == ("none", True, ["ALL"])


def test_the_output_of_a_container_is_complete_and_the_container_is_removed() -> None:
    assert list(run_once(api := FakeApi())) == [b"one", b"two"]
    # Attached before it starts: else the first output would be lost.
    assert api.calls == ["attach c", "start c", "remove c"]


def test_a_container_is_removed_when_its_output_is_closed_early() -> None:
    output = run_once(api := FakeApi())
    assert next(iter(output)) == b"one"
    output.close()
    assert "remove c" in api.calls
