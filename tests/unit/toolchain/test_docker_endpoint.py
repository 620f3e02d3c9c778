"""Where an engine is found: DOCKER_HOST, the current context, and the usual sockets."""

from __future__ import annotations

import hashlib
import json
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toolchain import docker_endpoint
from toolchain.docker_endpoint import USUAL

pytestmark = pytest.mark.unit


@pytest.fixture
def listening() -> Iterator[Callable[[str], Path]]:
    """Return a function that listens on a socket in a home with a short path; the path of a socket has a limit."""
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


def test_the_current_context_of_the_docker_command_is_used(tmp_path: Path) -> None:
    write_context(tmp_path, "colima", "unix:///elsewhere/docker.sock")
    environ = {"HOME": str(tmp_path)}
    (found,) = docker_endpoint.candidates(environ)
    assert found.host == "unix:///elsewhere/docker.sock"
    assert found.is_given
    assert docker_endpoint.variable(environ) == "unix:///elsewhere/docker.sock"


def test_docker_host_takes_precedence_over_a_context(tmp_path: Path) -> None:
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


def test_the_default_socket_needs_no_variable(
    listening: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = listening("usual.sock")
    monkeypatch.setattr(docker_endpoint, "USUAL", f"unix://{home}/usual.sock")
    assert docker_endpoint.variable({"HOME": str(home)}) is None


def test_a_damaged_docker_configuration_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text("{")
    assert docker_endpoint.candidates({"HOME": str(tmp_path)})[0].host == USUAL
