"""The Docker engine: finds it, or installs and starts it where that may be done."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from toolchain import docker_endpoint, locations, system_packages
from toolchain.docker_endpoint import Endpoint
from toolchain.failure import StepFailedError
from toolchain.machine import Machine
from toolchain.progress import Progress

PACKAGES = ("docker.io", "iptables", "apparmor")
"""Without the last, an engine on a kernel with AppArmor starts no container; what else Docker recommends is many
packages that it works without."""
CLIENT_PACKAGES = ("docker-cli",)
"""The command `docker`, which is no part of docker.io since Debian 13. Nothing here needs it; people do."""
START_SECONDS = 90.0
_PROBE_SECONDS = 10
_PROCESS_FILES = {
    Path("/var/run/docker.pid"): "dockerd",
    Path("/var/run/docker/containerd/containerd.pid"): "containerd",
}


_NOT_STARTED = (
    "the lines above say why; it needs a kernel that lets it mount, filter packets and make cgroups",
    "(inside a container it is rarely allowed to: give that container the host's socket instead)",
)


class Remedy(StrEnum):
    """What helps a machine on which no engine answers."""

    START_SERVICE = "start the engine's service"
    START_DAEMON = "start the engine"
    INSTALL = "install and start an engine"
    BY_HAND = "something that only a person can do"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came from an address."""

    version: str = ""
    """Empty when nothing usable came."""
    error: str = ""
    is_forbidden: bool = False
    """An engine is there, and does not let us in."""


Ask = Callable[[Endpoint, Mapping[str, str]], Answer]


def ask(endpoint: Endpoint, environ: Mapping[str, str]) -> Answer:
    """Ask an engine for its version."""
    import docker
    import docker.errors
    import docker.utils
    import requests.exceptions

    try:
        settings = docker.utils.kwargs_from_env(environment={**environ, "DOCKER_HOST": endpoint.host})
        client = docker.APIClient(
            **settings,
            version="auto",
            timeout=_PROBE_SECONDS,
            use_ssh_client=endpoint.host.startswith("ssh://"),
        )
        return Answer(version=str(client.version()["Version"]))
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        text = str(error)
        return Answer(error=text, is_forbidden="Permission denied" in text or "PermissionError" in text)


def remedy(machine: Machine) -> Remedy:
    """Say what would bring an engine to this machine."""
    if machine.system != "Linux":
        return Remedy.BY_HAND
    if "dockerd" in machine.programs and machine.is_root:
        return Remedy.START_SERVICE if machine.has_systemd else Remedy.START_DAEMON
    # On WSL the engine is Docker Desktop's, unless somebody has installed one inside.
    if machine.in_wsl or "dockerd" in machine.programs or machine.why_no_packages:
        return Remedy.BY_HAND
    return Remedy.INSTALL


def by_hand(machine: Machine) -> tuple[str, ...]:
    """Say what a person can do about a missing engine."""
    if machine.system == "Darwin":
        return (
            "start Docker Desktop (`open -a Docker`) and wait until its whale stands still",
            "not installed: see https://docs.docker.com/desktop/setup/install/mac-install/",
        )
    if machine.in_wsl:
        return (
            "start Docker Desktop on Windows, and switch on Settings > Resources > WSL integration for this one",
            "not installed: see https://docs.docker.com/desktop/setup/install/windows-install/",
        )
    start = "systemctl start docker" if machine.has_systemd else "dockerd"
    if "dockerd" in machine.programs:
        return (f"start it: sudo {start}", "the user must be in its group: sudo usermod -aG docker $USER")
    if machine.is_debian_like:
        return (f"as root: apt-get update && apt-get install {' '.join(PACKAGES)}, then: {start}",)
    return ("install Docker Engine 20.10 or newer: see https://docs.docker.com/engine/install/",)


def ensure(progress: Progress, machine: Machine, environ: Mapping[str, str], *, ask: Ask = ask) -> str:
    """Give the address of an engine that answers; install and start one where there is none.

    Raises:
        StepFailedError: when there is none and it cannot be brought, with what to do.
    """
    endpoints = docker_endpoint.candidates(environ)
    answers = [(endpoint, ask(endpoint, environ)) for endpoint in endpoints]
    for endpoint, answer in answers:
        if answer.version:
            progress.say(f"Docker engine {answer.version} at {endpoint.host} ({endpoint.origin})")
            return endpoint.host
    for endpoint, answer in answers:
        if answer.is_forbidden:
            raise StepFailedError(
                f"a Docker engine is at {endpoint.host} but this user may not use it",
                fix=["sudo usermod -aG docker $USER, then log in again"],
            )
        if endpoint.is_given:
            raise StepFailedError(
                f"no Docker engine answers at {endpoint.host}, which {endpoint.origin} names: {answer.error}",
                fix=[f"start that engine, or change {endpoint.origin}"],
            )
    return _bring(progress, machine, environ, ask)


def _bring(progress: Progress, machine: Machine, environ: Mapping[str, str], ask: Ask) -> str:
    chosen = remedy(machine)
    if chosen is Remedy.BY_HAND:
        why = f" and none is installed, because {machine.why_no_packages}" if machine.why_no_packages else ""
        raise StepFailedError(f"no Docker engine answers{why}", fix=by_hand(machine))
    with progress.step(f"no Docker engine answers: {chosen}"):
        if chosen is Remedy.INSTALL:
            system_packages.install(progress, machine, PACKAGES, why="no Docker engine is installed")
            if shutil.which("docker", path=environ.get("PATH")) is None:
                system_packages.install(progress, machine, CLIENT_PACKAGES, why="for you: nothing here needs it")
        daemon: subprocess.Popen[bytes] | None = None
        log = locations.private_folder(locations.logs(environ)) / "dockerd.log"
        # The package starts the service itself where systemd runs.
        if machine.has_systemd:
            progress.run(["systemctl", "enable", "--now", "docker"], log="docker-service", fix=by_hand(machine))
        else:
            progress.say(f"starting dockerd, because no systemd runs here (log: {log})")
            daemon = start_daemon(log)
        usual = Endpoint(host=docker_endpoint.USUAL, origin="started here")
        answer = _wait(usual, environ, daemon, ask)
        if not answer.version:
            raise StepFailedError(
                f"the Docker engine was started, and does not answer: {answer.error}",
                log=None if machine.has_systemd else log,
                tail=log.read_text(errors="replace").splitlines()[-20:] if log.exists() else (),
                fix=["systemctl status docker; journalctl -u docker"] if machine.has_systemd else _NOT_STARTED,
            )
        progress.say(f"Docker engine {answer.version} at {usual.host} (started here)")
        return usual.host


def drop_stale_process_files(files: Mapping[Path, str] = _PROCESS_FILES, *, proc: Path = Path("/proc")) -> None:
    """Remove what an engine that was killed has left, when its number is now another program's.

    It would be taken for a running engine, and a new one would not start.
    """
    for file, program in files.items():
        try:
            number = int(file.read_text())
            name = (proc / str(number) / "comm").read_text().strip()
        except (OSError, ValueError):
            continue  # no such file, or no such process: the engine itself knows what to do then
        if name != program:
            file.unlink(missing_ok=True)


def start_daemon(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start dockerd so that it outlives this process and the terminal."""
    drop_stale_process_files()
    path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    program = shutil.which("dockerd", path=path) or "dockerd"
    with log.open("ab") as file:
        return subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd="/",
            env={**os.environ, "PATH": path},
            start_new_session=True,
        )


def _wait(
    endpoint: Endpoint, environ: Mapping[str, str], daemon: subprocess.Popen[bytes] | None, ask: Ask
) -> Answer:
    deadline = time.monotonic() + START_SECONDS
    while True:
        answer = ask(endpoint, environ)
        if answer.version or time.monotonic() > deadline:
            return answer
        if daemon and daemon.poll() is not None:
            return Answer(error=f"dockerd ended with exit code {daemon.returncode}")
        time.sleep(0.5)
