"""The Docker engine: finds it, or installs and starts it where that is allowed."""

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
from toolchain.errors import StepFailedError
from toolchain.machine import Machine
from toolchain.progress import Progress

PACKAGES = ("docker.io", "iptables", "apparmor")
"""Without `apparmor`, an engine on a kernel with AppArmor starts no container. The other packages that docker.io
recommends are many, and it works without them."""
CLIENT_PACKAGES = ("docker-cli",)
"""The command `docker`, a package of its own since Debian 13. This project does not use it; its users do."""
START_SECONDS = 90.0
_PROBE_SECONDS = 10
_PROCESS_FILES = {
    Path("/var/run/docker.pid"): "dockerd",
    Path("/var/run/docker/containerd/containerd.pid"): "containerd",
}


_NOT_STARTED = (
    "see the lines above for the cause; dockerd needs a kernel that allows mounts, packet filtering and cgroups",
    "(containers rarely have these permissions: mount the host's Docker socket into the container instead)",
)


class Remedy(StrEnum):
    """What to do on a machine on which no engine answers."""

    START_SERVICE = "start the engine's service"
    START_DAEMON = "start the engine"
    INSTALL = "install and start an engine"
    BY_HAND = "only the user can start or install it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The answer from an address."""

    version: str = ""
    """Empty when there was no usable answer."""
    error: str = ""
    is_forbidden: bool = False
    """An engine is there, and this user has no access to it."""


Ask = Callable[[Endpoint, Mapping[str, str]], Answer]


def ask(endpoint: Endpoint, environ: Mapping[str, str]) -> Answer:
    """Ask the engine at an address for its version."""
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
    """Return what gets this machine an engine."""
    if machine.system != "Linux":
        return Remedy.BY_HAND
    if "dockerd" in machine.programs and machine.is_root:
        return Remedy.START_SERVICE if machine.has_systemd else Remedy.START_DAEMON
    # On WSL the engine is Docker Desktop's, unless the user has installed one inside WSL.
    if machine.in_wsl or "dockerd" in machine.programs or machine.why_no_packages:
        return Remedy.BY_HAND
    return Remedy.INSTALL


def by_hand(machine: Machine) -> tuple[str, ...]:
    """Return the steps by which a user gets an engine."""
    if machine.system == "Darwin":
        return (
            "start Docker Desktop (`open -a Docker`) and wait until it says that the engine is running",
            "to install it, see https://docs.docker.com/desktop/setup/install/mac-install/",
        )
    if machine.in_wsl:
        return (
            "start Docker Desktop on Windows, and enable Settings > Resources > WSL integration for this distro",
            "to install it, see https://docs.docker.com/desktop/setup/install/windows-install/",
        )
    start = "systemctl start docker" if machine.has_systemd else "dockerd"
    if "dockerd" in machine.programs:
        return (f"start it: sudo {start}", "join its group: sudo usermod -aG docker $USER, then log in again")
    if machine.is_debian_like:
        return (f"as root: apt-get update && apt-get install {' '.join(PACKAGES)}, then: {start}",)
    return ("install Docker Engine 20.10 or newer, see https://docs.docker.com/engine/install/",)


def ensure(progress: Progress, machine: Machine, environ: Mapping[str, str], *, ask: Ask = ask) -> str:
    """Return the address of an engine that answers; install and start one where there is none.

    Raises:
        StepFailedError: when there is none and it cannot be installed or started, with what to do.
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
                f"a Docker engine runs at {endpoint.host}, but this user has no access to it",
                fix=["sudo usermod -aG docker $USER, then log in again"],
            )
        if endpoint.is_given:
            raise StepFailedError(
                f"no Docker engine answers at {endpoint.host}, the address from {endpoint.origin}: {answer.error}",
                fix=[f"start that engine, or change {endpoint.origin}"],
            )
    return _install_and_start(progress, machine, environ, ask)


def _install_and_start(progress: Progress, machine: Machine, environ: Mapping[str, str], ask: Ask) -> str:
    chosen = remedy(machine)
    if chosen is Remedy.BY_HAND:
        why = f", and none can be installed: {machine.why_no_packages}" if machine.why_no_packages else ""
        raise StepFailedError(f"no Docker engine answers{why}", fix=by_hand(machine))
    with progress.step(f"no Docker engine answers: {chosen}"):
        if chosen is Remedy.INSTALL:
            system_packages.install(progress, machine, PACKAGES, why="no Docker engine is installed")
            if shutil.which("docker", path=environ.get("PATH")) is None:
                system_packages.install(progress, machine, CLIENT_PACKAGES, why="the `docker` command, for you")
        daemon: subprocess.Popen[bytes] | None = None
        log = locations.private_folder(locations.logs(environ)) / "dockerd.log"
        # The package starts the service itself where systemd runs.
        if machine.has_systemd:
            progress.run(["systemctl", "enable", "--now", "docker"], log="docker-service", fix=by_hand(machine))
        else:
            progress.say(f"starting dockerd directly, because systemd is not running (log: {log})")
            daemon = start_daemon(log)
        usual = Endpoint(host=docker_endpoint.USUAL, origin="started here")
        answer = _wait(usual, environ, daemon, ask)
        if not answer.version:
            raise StepFailedError(
                f"the Docker engine was started, but does not answer: {answer.error}",
                log=None if machine.has_systemd else log,
                tail=log.read_text(errors="replace").splitlines()[-20:] if log.exists() else (),
                fix=["systemctl status docker; journalctl -u docker"] if machine.has_systemd else _NOT_STARTED,
            )
        progress.say(f"Docker engine {answer.version} at {usual.host} (started here)")
        return usual.host


def drop_stale_process_files(files: Mapping[Path, str] = _PROCESS_FILES, *, proc: Path = Path("/proc")) -> None:
    """Remove pid files that a killed engine left behind, when the process of that number is another program.

    A new engine would take that process for a running engine, and not start.
    """
    for file, program in files.items():
        try:
            number = int(file.read_text())
            name = (proc / str(number) / "comm").read_text().strip()
        except (OSError, ValueError):
            continue  # no such file, or no such process: the engine handles both
        if name != program:
            file.unlink(missing_ok=True)


def start_daemon(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start dockerd so that it outlives this process and its terminal."""
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
