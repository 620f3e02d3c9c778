"""Plugins that a killed update leaves: found by their dead engine, and ended."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from operations.stack.orphans import end, orphans
from testbed.polling import eventually

pytestmark = pytest.mark.unit

PROJECT, BACKEND = "letta-in-a-test", "file:///backend/of/a/test"
ENVIRONMENT = {"PULUMI_BACKEND_URL": BACKEND}
Start = Callable[..., psutil.Process]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts a process as Pulumi starts a plugin."""
    started: list[subprocess.Popen[str]] = []

    def run(
        port: int,
        *,
        name: str = "pulumi-resource-docker",
        project: str = PROJECT,
        backend: str = BACKEND,
        program: str = "import time; print(1, flush=True); time.sleep(60)",
    ) -> psutil.Process:
        binary = tmp_path / name
        if not binary.exists():
            binary.symlink_to(sys.executable)
        process = subprocess.Popen(
            [binary, "-c", program, f"127.0.0.1:{port}"],
            env={"PULUMI_PROJECT": project, "PULUMI_BACKEND_URL": backend},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout
        assert process.stdout.readline()
        return psutil.Process(process.pid)

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def alive() -> Iterator[int]:
    """The port of an engine that runs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def dead() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_a_plugin_whose_engine_is_gone_is_ended(start: Start, dead: int) -> None:
    process = start(dead)
    assert orphans(PROJECT, ENVIRONMENT) == (process,)
    assert list(end(orphans(PROJECT, ENVIRONMENT))) == ["pulumi-resource-docker"]
    assert orphans(PROJECT, ENVIRONMENT) == ()


def test_one_that_does_not_end_is_killed(start: Start, dead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.stack.orphans.PATIENCE_SECONDS", 0.2)
    process = start(dead, program=DEAF)
    list(end((process,)))
    for attempt in eventually(10):
        with attempt:
            assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "others",
    [{"name": "python-of-the-user"}, {"name": "pulumi"}, {"project": "theirs"}, {"backend": "s3://theirs"}],
    ids=["another program", "pulumi itself", "another project", "another backend"],
)
def test_what_is_not_ours_is_left_alone(start: Start, dead: int, others: dict[str, str]) -> None:
    start(dead, **others)
    assert orphans(PROJECT, ENVIRONMENT) == ()


def test_the_plugin_of_an_update_that_runs_is_left_alone(start: Start, alive: int) -> None:
    start(alive)
    assert orphans(PROJECT, ENVIRONMENT) == ()


def test_ending_what_has_ended_is_no_error(start: Start, dead: int) -> None:
    process = start(dead)
    process.kill()
    process.wait()
    assert list(end((process,))) == []
