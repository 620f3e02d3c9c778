"""How the start of a container is followed: ended as soon as it can no longer succeed, its log shown."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import docker
import docker.errors
import pulumi
import pytest

from runtime.engine.hooks import Hook, StartupFollower
from testbed.deployment import Container
from testbed.polling import eventually

pytestmark = pytest.mark.engine

JOB = "test-job"
SHORT, LONG = 3, 600

Start = Callable[[Hook, str], Container]


@pytest.fixture
def follower() -> StartupFollower:
    return StartupFollower()


def job(follower: StartupFollower) -> Hook:
    return follower.hook(JOB, is_job=True, seconds=LONG, startup_gate=None)


def waiting(follower: StartupFollower, *, seconds: int) -> Hook:
    return follower.hook("test-service", is_job=False, seconds=seconds, startup_gate=JOB)


@pytest.fixture
def start(engine: docker.DockerClient, images: dict[str, str]) -> Iterator[Start]:
    """Return a function that runs a script in a container; /tmp/healthy makes it healthy."""
    made: list[Container] = []

    def begin(hook: Hook, script: str) -> Container:
        name = f"letta-test-hooks-{secrets.token_hex(3)}"
        hook(cast("pulumi.ResourceHookArgs", SimpleNamespace(new_inputs={"name": name})))
        container = engine.containers.run(
            images["base"],
            ["-c", script],
            entrypoint=["bash"],
            name=name,
            detach=True,
            init=True,
            network_mode="none",
            healthcheck={
                "test": ["CMD", "test", "-e", "/tmp/healthy"],
                "interval": 200_000_000,
                "start_period": LONG * 1_000_000_000,
            },
        )
        made.append(container)
        return container

    yield begin
    for container in made:
        try:
            container.remove(force=True)
        except docker.errors.NotFound:
            continue


def _is_there(container: Container) -> bool:
    try:
        container.reload()
    except docker.errors.NotFound:
        return False
    return True


def _is_removed(container: Container) -> None:
    for attempt in eventually(60):
        with attempt:
            assert not _is_there(container)


def test_when_a_job_fails_what_waits_for_it_is_ended_with_it(
    start: Start, follower: StartupFollower, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = start(job(follower), "echo no way; sleep 2; exit 3")
    waits = start(waiting(follower, seconds=LONG), "echo waiting for the job; sleep 600")

    _is_removed(failing)
    _is_removed(waits)

    said = capsys.readouterr().err
    assert f"{failing.name} failed with exit code 3. Its last log lines:\n    no way" in said
    assert f"{waits.name} was removed, because the job '{JOB}' that it waits for failed." in said
    assert "    waiting for the job" in said


def test_the_time_of_what_waits_for_a_job_begins_when_the_job_has_ended(
    start: Start, follower: StartupFollower, capsys: pytest.CaptureFixture[str]
) -> None:
    succeeding = start(job(follower), f"sleep {3 * SHORT}; touch /tmp/healthy; sleep 600")
    waits = start(waiting(follower, seconds=SHORT), "sleep 600")

    for attempt in eventually(60):
        with attempt:
            succeeding.reload()
            assert succeeding.attrs["State"]["Health"]["Status"] == "healthy"
    assert _is_there(waits)

    _is_removed(waits)
    assert f"{waits.name} did not become healthy in time" in capsys.readouterr().err
