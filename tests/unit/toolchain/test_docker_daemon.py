"""Which way leads to a Docker engine, on machines of every kind."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from toolchain import docker_daemon, docker_endpoint, system_packages
from toolchain.docker_daemon import Answer, Remedy
from toolchain.docker_endpoint import USUAL, Endpoint
from toolchain.failure import StepFailedError
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


def told(value: object) -> str:
    """Name a parameter alike in every process, which a set's own text would not be."""
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
    ids=told,
)
def test_the_way_to_an_engine_fits_the_machine(machine: Machine, expected: Remedy) -> None:
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
    ids=told,
)
def test_where_only_a_person_can_help_the_steps_are_named(machine: Machine, words: str) -> None:
    assert any(words in line for line in docker_daemon.by_hand(machine))


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        (replace(DEBIAN, is_root=False), "not run as root"),
        (replace(DEBIAN, system_packages_refused=True), "LETTA_NO_SYSTEM_PACKAGES is set"),
        (FEDORA, "the distribution is fedora"),
        (MAC, "this is Darwin"),
    ],
    ids=told,
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


def test_a_debian_that_ships_the_command_docker_apart_gets_it_too(world: World) -> None:
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
    assert any("no systemd runs here" in line for line in world.lines)


def test_an_installed_engine_is_started_by_systemd_where_that_runs(world: World) -> None:
    assert world.ensure(replace(UBUNTU, programs=WITH_ENGINE)) == USUAL
    assert world.ran == ["systemctl enable --now docker"]


def test_an_engine_that_dies_at_its_start_shows_the_end_of_its_log(world: World) -> None:
    world.starts = lambda: None
    with pytest.raises(StepFailedError) as caught:
        world.ensure(replace(DEBIAN, programs=WITH_ENGINE))
    assert "ended with exit code 1" in str(caught.value)
    assert "no-iptables" in str(caught.value)


def test_an_engine_that_lets_us_not_in_is_not_installed_again(world: World) -> None:
    world.answers[USUAL] = Answer(error="Permission denied", is_forbidden=True)
    with pytest.raises(StepFailedError, match="may not use it") as caught:
        world.ensure(DEBIAN)
    assert "usermod -aG docker" in caught.value.fix[0]
    assert world.ran == []


def test_an_engine_that_the_user_names_is_the_only_one_that_counts(world: World) -> None:
    world.environ["DOCKER_HOST"] = "tcp://192.0.2.1:2376"
    world.answers[USUAL] = Answer(version="26.1.5")
    with pytest.raises(StepFailedError, match="DOCKER_HOST names") as caught:
        world.ensure(DEBIAN)
    assert "connection refused" in caught.value.problem
    assert world.ran == []


def test_the_refusal_says_why_nothing_was_installed(world: World) -> None:
    with pytest.raises(StepFailedError, match="not run as root"):
        world.ensure(replace(DEBIAN, is_root=False))
    assert world.ran == []


# -- where engines are ---------------------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterator[Callable[[str], Path]]:
    """Give a function that listens on a socket in a short-named home; the name of a socket has a limit."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        opened = []

        def listen(name: str) -> Path:
            path = Path(home) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.bind(str(path))
            server.listen()
            opened.append(server)
            return Path(home)

        yield listen
        for server in opened:
            server.close()


def write_context(home: Path, name: str, host: str) -> None:
    folder = home / ".docker" / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))


def test_the_current_context_of_the_docker_command_counts(tmp_path: Path) -> None:
    write_context(tmp_path, "colima", "unix:///elsewhere/docker.sock")
    environ = {"HOME": str(tmp_path)}
    (found,) = docker_endpoint.candidates(environ)
    assert found.host == "unix:///elsewhere/docker.sock"
    assert found.is_given
    assert docker_endpoint.variable(environ) == "unix:///elsewhere/docker.sock"


def test_docker_host_counts_more_than_a_context(tmp_path: Path) -> None:
    write_context(tmp_path, "colima", "unix:///elsewhere/docker.sock")
    environ = {"HOME": str(tmp_path), "DOCKER_HOST": "tcp://192.0.2.1:2376"}
    assert [one.host for one in docker_endpoint.candidates(environ)] == ["tcp://192.0.2.1:2376"]
    assert docker_endpoint.variable(environ) is None


def test_docker_desktops_own_socket_is_found_and_exported(
    listening: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_endpoint, "USUAL", "unix:///nowhere/docker.sock")
    home = listening(".docker/run/docker.sock")
    assert docker_endpoint.variable({"HOME": str(home)}) == f"unix://{home}/.docker/run/docker.sock"


def test_a_rootless_engine_is_found(listening: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_endpoint, "USUAL", "unix:///nowhere/docker.sock")
    home = listening("docker.sock")
    environ = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    assert docker_endpoint.variable(environ) == f"unix://{home}/docker.sock"


def test_the_usual_socket_needs_no_variable(
    listening: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = listening("usual.sock")
    monkeypatch.setattr(docker_endpoint, "USUAL", f"unix://{home}/usual.sock")
    assert docker_endpoint.variable({"HOME": str(home)}) is None


def test_a_damaged_docker_configuration_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text("{")
    assert docker_endpoint.candidates({"HOME": str(tmp_path)})[0].host == USUAL


def test_asking_where_nothing_listens_gives_an_error_and_not_an_exception(tmp_path: Path) -> None:
    endpoint = Endpoint(host=f"unix://{tmp_path}/none.sock", origin="test")
    answer = docker_daemon.ask(endpoint, os.environ)
    assert answer.version == ""
    assert answer.error


@pytest.mark.parametrize(("program", "stays"), [("dockerd", True), ("python3", False), (None, True)])
def test_the_number_of_a_killed_engine_does_not_keep_a_new_one_from_starting(
    tmp_path: Path, program: str | None, stays: bool
) -> None:
    file = tmp_path / "docker.pid"
    file.write_text("4711")
    if program:
        (tmp_path / "proc" / "4711").mkdir(parents=True)
        (tmp_path / "proc" / "4711" / "comm").write_text(f"{program}\n")
    docker_daemon.drop_stale_process_files({file: "dockerd"}, proc=tmp_path / "proc")
    assert file.exists() is stays
