"""Finds the address of the Docker engine as the `docker` command does, contexts included.

Pulumi's docker plugin and the Docker SDK know `DOCKER_HOST` and the usual socket only; Docker Desktop, Colima and
rootless engines are found through the command line's current context, or have their socket elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

USUAL = "unix:///var/run/docker.sock"
_CONNECT_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """An address at which an engine may listen."""

    host: str
    origin: str
    """Where the address comes from."""
    is_given: bool = False
    """The user chose it, so no other may be used instead."""


def candidates(environ: Mapping[str, str] = os.environ) -> tuple[Endpoint, ...]:
    """Return the addresses in order of precedence; one that the user chose is the only one."""
    if environ.get("DOCKER_HOST"):
        return (Endpoint(host=environ["DOCKER_HOST"], origin="DOCKER_HOST", is_given=True),)
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    folder = Path(environ.get("DOCKER_CONFIG") or home / ".docker")
    context = environ.get("DOCKER_CONTEXT") or _current_context(folder)
    if context and context != "default":
        host = _context_host(folder, context)
        if host:
            return (Endpoint(host=host, origin=f"docker context {context}", is_given=True),)
    sockets = [
        Endpoint(host=USUAL, origin="the default socket"),
        Endpoint(host=f"unix://{home}/.docker/run/docker.sock", origin="Docker Desktop's socket"),
    ]
    if environ.get("XDG_RUNTIME_DIR"):
        sockets.append(
            Endpoint(host=f"unix://{environ['XDG_RUNTIME_DIR']}/docker.sock", origin="rootless engine's socket")
        )
    return tuple(sockets)


def variable(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the DOCKER_HOST that other programs need to find the engine; None when they find it without."""
    for endpoint in candidates(environ):
        if endpoint.is_given:
            return None if endpoint.origin == "DOCKER_HOST" else endpoint.host
        if _listens(endpoint.host):
            return None if endpoint.host == USUAL else endpoint.host
    return None


def _listens(host: str) -> bool:
    path = host.removeprefix("unix://")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_CONNECT_SECONDS)
        try:
            connection.connect(path)
        except PermissionError:
            return True  # an engine is there; whoever uses it reports that access is denied
        except OSError:
            return False
    return True


def _current_context(folder: Path) -> str:
    return str(_read(folder / "config.json").get("currentContext") or "")


def _context_host(folder: Path, context: str) -> str:
    # The command line keeps a context in a folder named by the hash of its name.
    name = hashlib.sha256(context.encode()).hexdigest()
    described = _read(folder / "contexts" / "meta" / name / "meta.json")
    endpoints = described.get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    return str(docker.get("Host") or "") if isinstance(docker, dict) else ""


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
