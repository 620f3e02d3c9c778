"""What happens around the creation of a resource: volumes of others are refused, starts are followed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import docker
import docker.errors
import pulumi
import pytest

import catalogue
from runtime.engine import hooks
from runtime.engine.hooks import Hook, StartupFollower, refusal, verdict

pytestmark = pytest.mark.unit

STACK, ID = catalogue.STACK_LABEL, catalogue.STACK_ID_LABEL


def test_a_volume_that_does_not_exist_may_be_created() -> None:
    assert refusal("data", wanted={ID: "1"}, found=None) is None


def test_a_volume_of_this_very_stack_may_be_used_again() -> None:
    assert refusal("data", wanted={ID: "1"}, found={ID: "1", STACK: "dev"}) is None


@pytest.mark.parametrize("found", [{ID: "2", STACK: "dev"}, {}, {STACK: "dev"}])
def test_a_volume_of_another_owner_is_refused_with_what_to_do(found: dict[str, str]) -> None:
    reason = refusal("letta-dev-postgres-data", wanted={ID: "1"}, found=found)
    assert reason is not None
    assert "letta-dev-postgres-data" in reason
    assert "docker volume rm" in reason
    assert "pulumi stack import" in reason


def test_a_volume_is_refused_while_the_stack_has_no_identity_yet() -> None:
    assert refusal("data", wanted={ID: ""}, found={ID: ""}) is not None


@pytest.mark.parametrize(
    ("state", "restarts", "is_job", "expected"),
    [
        ({"Status": "running", "Health": {"Status": "starting"}}, 0, False, None),
        ({"Status": "running", "Health": {"Status": "healthy"}}, 5, False, "healthy"),
        ({"Status": "exited", "Health": {"Status": "unhealthy"}}, 0, True, "hopeless"),
        ({"Status": "created", "Error": "no such file"}, 0, True, "hopeless"),
        ({"Status": "created", "Error": ""}, 0, True, None),
        ({"Status": "exited", "Health": {"Status": "healthy"}}, 0, True, "healthy"),
        ({"Status": "restarting", "Health": {"Status": "unhealthy"}}, 3, False, "hopeless"),
        ({"Status": "restarting", "Health": {"Status": "unhealthy"}}, 1, False, None),
    ],
)
def test_a_starting_container_is_given_up_only_when_it_cannot_become_healthy(
    state: dict[str, object], restarts: int, is_job: bool, expected: str | None
) -> None:
    assert verdict(state, restarts=restarts, is_job=is_job) == expected


# -- following a start ----------------------------------------------------------------------------------


@dataclass
class FakeContainer:
    """A container whose state a test sets."""

    name: str
    attrs: dict[str, Any]
    removed: threading.Event = field(default_factory=threading.Event)

    def logs(self, tail: int) -> bytes:
        return b"line\n" * tail

    def remove(self, force: bool) -> None:
        assert force
        self.removed.set()


@dataclass
class FakeEngine:
    """An engine with the containers that a test puts there."""

    known: dict[str, FakeContainer] = field(default_factory=dict)

    @property
    def containers(self) -> FakeEngine:
        return self

    def get(self, name: str) -> FakeContainer:
        if name not in self.known or self.known[name].removed.is_set():
            raise docker.errors.NotFound(name)
        return self.known[name]

    def add(self, name: str, status: str, *, health: str = "starting", restarts: int = 0) -> FakeContainer:
        state = {"Status": status, "Health": {"Status": health}, "ExitCode": 3}
        self.known[name] = FakeContainer(name, {"State": state, "RestartCount": restarts})
        return self.known[name]

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(docker, "from_env", lambda: fake)
    monkeypatch.setattr(hooks, "POLL_SECONDS", 0.01)
    return fake


@pytest.fixture
def finish() -> Iterator[Callable[[], None]]:
    """Return a function that waits until all starts that were followed have ended."""
    before = set(threading.enumerate())

    def wait() -> None:
        for thread in set(threading.enumerate()) - before:
            thread.join(30)
            assert not thread.is_alive()

    yield wait
    wait()


def begin(hook: Hook, name: str) -> None:
    hook(cast("pulumi.ResourceHookArgs", SimpleNamespace(new_inputs={"name": name})))


def test_a_healthy_start_is_not_reported(
    engine: FakeEngine, finish: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    container = engine.add("server", "running", health="healthy")
    begin(StartupFollower().hook("letta", is_job=False, seconds=60, startup_gate=None), "server")
    finish()
    assert capsys.readouterr().err == ""
    assert not container.removed.is_set()


def test_a_container_that_keeps_crashing_is_reported_with_its_log_and_removed(
    engine: FakeEngine, finish: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    container = engine.add("server", "restarting", restarts=3)
    begin(StartupFollower().hook("letta", is_job=False, seconds=60, startup_gate=None), "server")
    finish()
    said = capsys.readouterr().err
    assert said.startswith(
        "server failed with exit code 3 and kept failing after 3 restarts. Its last log lines:\n"
    )
    assert said.count("    line\n") == hooks.LOG_LINES
    assert container.removed.is_set()


def test_when_a_job_fails_what_waits_for_it_is_removed_with_it(
    engine: FakeEngine, finish: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    job, server = engine.add("migration", "exited"), engine.add("server", "running")
    follower = StartupFollower()
    begin(follower.hook("migration", is_job=True, seconds=60, startup_gate=None), "migration")
    begin(follower.hook("letta", is_job=False, seconds=60, startup_gate="migration"), "server")
    finish()
    assert job.removed.is_set()
    assert server.removed.is_set()
    said = capsys.readouterr().err
    assert "migration failed with exit code 3. Its last log lines:" in said
    assert "server was removed, because the job 'migration' that it waits for failed." in said


def test_jobs_of_one_runtime_say_nothing_about_those_of_another(
    engine: FakeEngine, finish: Callable[[], None]
) -> None:
    engine.add("migration", "exited")
    server = engine.add("server", "running")
    begin(StartupFollower().hook("migration", is_job=True, seconds=60, startup_gate=None), "migration")
    begin(StartupFollower().hook("letta", is_job=False, seconds=60, startup_gate="migration"), "server")
    engine.get("server").attrs["State"]["Health"]["Status"] = "healthy"
    finish()
    assert not server.removed.is_set()


def test_an_engine_that_does_not_answer_is_not_the_containers_fault(
    engine: FakeEngine,
    finish: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse() -> FakeEngine:
        raise docker.errors.DockerException("no engine")

    monkeypatch.setattr(docker, "from_env", refuse)
    begin(StartupFollower().hook("letta", is_job=False, seconds=60, startup_gate=None), "server")
    finish()
    assert capsys.readouterr().err == "the start of server could not be followed: no engine\n"
    assert engine.known == {}
