"""How each kind of machine gets a Docker engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from toolchain import docker_daemon, system_packages
from toolchain.docker_daemon import Answer, Remedy
from toolchain.docker_endpoint import USUAL, Endpoint
from toolchain.errors import StepFailedError
from toolchain.machine import Machine
from toolchain.progress import Progress

pytestmark = pytest.mark.unit

DEBIAN = Machine(
    system="Linux",
    architecture="x86_64",
    distribution="debian",
    is_root=True,
    programs=frozenset({"apt-get"}),
)
WITH_ENGINE = frozenset({"apt-get", "dockerd"})
MAC = Machine(system="Darwin", architecture="arm64")
FEDORA = Machine(system="Linux", architecture="x86_64", distribution="fedora", is_root=True)
UBUNTU = replace(DEBIAN, distribution="ubuntu", like=("debian",), has_systemd=True)
WSL = replace(UBUNTU, in_wsl=True)


def parameter_id(value: object) -> str:
    """Return a name that is the same in every process, unlike the text of a set."""
    if not isinstance(value, Machine):
        return str(value)
    flags = ("is_root", "has_systemd", "in_wsl", "system_packages_refused")
    set_ones = (flag for flag in flags if getattr(value, flag))
    return " ".join([value.distribution or value.system, *sorted(value.programs), *set_ones])


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (DEBIAN, Remedy.INSTALL),
        (UBUNTU, Remedy.INSTALL),
        (replace(DEBIAN, distribution="raspbian", like=("debian",)), Remedy.INSTALL),
        (replace(DEBIAN, programs=WITH_ENGINE), Remedy.START_DAEMON),
        (replace(UBUNTU, programs=WITH_ENGINE), Remedy.START_SERVICE),
        (replace(FEDORA, programs=frozenset({"dockerd"}), has_systemd=True), Remedy.START_SERVICE),
        (replace(WSL, programs=WITH_ENGINE), Remedy.START_SERVICE),
        (replace(DEBIAN, is_root=False), Remedy.BY_HAND),
        (replace(DEBIAN, programs=WITH_ENGINE, is_root=False), Remedy.BY_HAND),
        (replace(DEBIAN, system_packages_refused=True), Remedy.BY_HAND),
        (FEDORA, Remedy.BY_HAND),
        (MAC, Remedy.BY_HAND),
        (WSL, Remedy.BY_HAND),
    ],
    ids=parameter_id,
)
def test_the_remedy_for_a_missing_engine_fits_the_machine(machine: Machine, expected: Remedy) -> None:
    assert docker_daemon.remedy(machine) is expected


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (MAC, "open -a Docker"),
        (WSL, "WSL integration"),
        (FEDORA, "docs.docker.com/engine/install"),
        (replace(DEBIAN, is_root=False), "apt-get install docker.io iptables apparmor"),
        (replace(DEBIAN, programs=WITH_ENGINE, is_root=False), "sudo dockerd"),
        (replace(UBUNTU, programs=WITH_ENGINE, is_root=False), "sudo systemctl start docker"),
    ],
    ids=parameter_id,
)
def test_steps_by_hand_fit_the_machine(machine: Machine, words: str) -> None:
    assert any(words in line for line in docker_daemon.by_hand(machine))


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        (replace(DEBIAN, is_root=False), "you are not root"),
        (replace(DEBIAN, system_packages_refused=True), "LETTA_NO_SYSTEM_PACKAGES is set"),
        (FEDORA, "the distribution is fedora"),
        (MAC, "this is Darwin"),
    ],
    ids=parameter_id,
)
def test_system_packages_are_never_installed_where_that_is_not_allowed(machine: Machine, why: str) -> None:
    with pytest.raises(StepFailedError) as caught:
        system_packages.install(Progress(lambda _: None), machine, ("mmdebstrap",), why="it is needed")
    assert why in caught.value.problem
    assert caught.value.fix == ("as root: apt-get update && apt-get install mmdebstrap",)


class World:
    """Stands in for engines, apt-get, systemctl and dockerd."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.answers: dict[str, Answer] = {}
        self.ran: list[str] = []
        self.lines: list[str] = []
        self.starts: Callable[[], None] = lambda: self.answers.update({USUAL: Answer(version="20.10.24")})
        self.progress = Progress(self.lines.append, logs=folder / "logs", heartbeat=60)
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.environ = {"HOME": str(folder), "XDG_STATE_HOME": str(folder), "PATH": str(self.programs)}
        monkeypatch.setattr(self.progress, "run", self._run)
        monkeypatch.setattr(docker_daemon, "start_daemon", self._start_daemon)

    def _run(self, command: list[str], **_: object) -> Path:
        self.ran.append(" ".join(command))
        if "systemctl" in command[0]:
            self.starts()
        return Path()

    def _start_daemon(self, log: Path) -> object:
        self.ran.append("dockerd")
        log.write_text("level=error msg=first\nlevel=error msg=no-iptables\n")
        self.starts()

        class Daemon:
            returncode = 1

            def poll(self) -> int:
                return self.returncode

        return Daemon()

    def ask(self, endpoint: Endpoint, _environ: Mapping[str, str]) -> Answer:
        return self.answers.get(endpoint.host, Answer(error="connection refused"))

    def ensure(self, machine: Machine) -> str:
        return docker_daemon.ensure(self.progress, machine, self.environ, ask=self.ask)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    return World(monkeypatch, tmp_path)


def test_an_engine_that_answers_is_used_and_nothing_is_run(world: World) -> None:
    world.answers[USUAL] = Answer(version="26.1.5")
    assert world.ensure(DEBIAN) == USUAL
    assert world.ran == []
    assert "26.1.5" in world.lines[0]


def test_a_debian_with_a_package_for_the_docker_command_gets_that_too(world: World) -> None:
    assert world.ensure(DEBIAN) == USUAL
    assert [words.rpartition(" --yes ")[2] for words in world.ran if " install " in words] == [
        "docker.io iptables apparmor",
        "docker-cli",
    ]


def test_a_bare_debian_gets_an_engine_installed_and_started(world: World) -> None:
    docker = world.programs / "docker"
    docker.touch(mode=0o755)
    assert world.ensure(DEBIAN) == USUAL
    assert [words.partition(" ")[0] for words in world.ran] == ["apt-get", "apt-get", "dockerd"]
    assert world.ran[1].endswith("install --yes docker.io iptables apparmor")
    assert any("no Docker engine is installed" in line for line in world.lines)
    assert any("systemd is not running" in line for line in world.lines)


def test_an_installed_engine_is_started_by_systemd_where_that_runs(world: World) -> None:
    assert world.ensure(replace(UBUNTU, programs=WITH_ENGINE)) == USUAL
    assert world.ran == ["systemctl enable --now docker"]


def test_an_engine_that_dies_at_start_is_reported_with_the_end_of_its_log(world: World) -> None:
    world.starts = lambda: None
    with pytest.raises(StepFailedError) as caught:
        world.ensure(replace(DEBIAN, programs=WITH_ENGINE))
    assert "ended with exit code 1" in str(caught.value)
    assert "no-iptables" in str(caught.value)


def test_an_engine_without_access_is_not_installed_again(world: World) -> None:
    world.answers[USUAL] = Answer(error="Permission denied", is_forbidden=True)
    with pytest.raises(StepFailedError, match="has no access to it") as caught:
        world.ensure(DEBIAN)
    assert "usermod -aG docker" in caught.value.fix[0]
    assert world.ran == []


def test_no_other_engine_replaces_one_that_the_user_names(world: World) -> None:
    world.environ["DOCKER_HOST"] = "tcp://192.0.2.1:2376"
    world.answers[USUAL] = Answer(version="26.1.5")
    with pytest.raises(StepFailedError, match="the address from DOCKER_HOST") as caught:
        world.ensure(DEBIAN)
    assert "connection refused" in caught.value.problem
    assert world.ran == []


def test_the_error_says_why_no_engine_can_be_installed(world: World) -> None:
    with pytest.raises(StepFailedError, match="you are not root"):
        world.ensure(replace(DEBIAN, is_root=False))
    assert world.ran == []


def test_asking_where_nothing_listens_returns_an_error_and_raises_nothing(tmp_path: Path) -> None:
    endpoint = Endpoint(host=f"unix://{tmp_path}/none.sock", origin="test")
    answer = docker_daemon.ask(endpoint, os.environ)
    assert answer.version == ""
    assert answer.error


@pytest.mark.parametrize(("program", "stays"), [("dockerd", True), ("python3", False), (None, True)])
def test_the_pid_file_of_a_killed_engine_does_not_keep_a_new_one_from_starting(
    tmp_path: Path, program: str | None, stays: bool
) -> None:
    file = tmp_path / "docker.pid"
    file.write_text("4711")
    if program:
        (tmp_path / "proc" / "4711").mkdir(parents=True)
        (tmp_path / "proc" / "4711" / "comm").write_text(f"{program}\n")
    docker_daemon.drop_stale_process_files({file: "dockerd"}, proc=tmp_path / "proc")
    assert file.exists() is stays
