"""Copies of the stack's server container, identical except for what a benchmark changes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import docker
import docker.models.containers
import docker.models.images

from benchmarks.platform import LABEL
from testbed.deployment import Container

_KEPT = ("Cmd", "Entrypoint", "StopSignal", "StopTimeout", "User", "WorkingDir")
_KEPT_OF_HOST = (
    "Binds",
    "CapDrop",
    "Init",
    "LogConfig",
    "Memory",
    "MemorySwap",
    "Mounts",
    "NanoCpus",
    "ReadonlyRootfs",
    "SecurityOpt",
    "ShmSize",
    "Tmpfs",
)
# One process for all checks: an exec for each would cost more than the check.
_WAIT = "until letta-healthy 2>/dev/null; do sleep 0.1; done"


class NotHealthyError(RuntimeError):
    """A server did not become healthy; the message ends with its log."""


def body(
    original: Mapping[str, Any], *, image: str | None, environment: Mapping[str, str], label: str
) -> dict[str, Any]:
    """Return the request that creates a copy of an inspected container, attached to its first network.

    The copy has no health check, so that only the benchmark checks it, and is not restarted.
    """
    config, host = original["Config"], original["HostConfig"]
    known = dict(entry.split("=", 1) for entry in config["Env"] or ())
    first = networks(original)[0]
    return {
        **{key: config.get(key) for key in _KEPT if config.get(key) is not None},
        "Image": image or config["Image"],
        "Env": [f"{key}={value}" for key, value in {**known, **environment}.items()],
        "Labels": {LABEL: label},
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            **{key: host[key] for key in _KEPT_OF_HOST if host.get(key) is not None},
            "NetworkMode": first,
            "RestartPolicy": {"Name": "no"},
        },
        "NetworkingConfig": {"EndpointsConfig": {first: {}}},
    }


def networks(original: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a container's networks."""
    return tuple(sorted(original["NetworkSettings"]["Networks"]))


@contextmanager
def copy(
    engine: docker.DockerClient,
    original: Container,
    *,
    name: str,
    label: str,
    image: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Container]:
    """Yield a copy of the server that is not started; it is removed afterwards."""
    wanted = body(original.attrs, image=image, environment=environment or {}, label=label)
    api: Any = engine.api  # missing in its type stubs
    created = api.create_container_from_config(wanted, f"{label}-{name}")
    container = engine.containers.get(created["Id"])
    try:
        for network in networks(original.attrs)[1:]:
            engine.networks.get(network).connect(container)
        yield container
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)


def start(container: Container, *, seconds: float = 300) -> float:
    """Start a server, and return the seconds until the image's own deep check succeeds.

    Raises:
        NotHealthyError: when it ends, or is not healthy after `seconds`.
    """
    started = time.monotonic()
    container.start()
    try:
        code, _ = container.exec_run(["timeout", str(int(seconds)), "bash", "-c", _WAIT])
    except docker.errors.APIError:
        code = -1  # it ended before the check
    took = time.monotonic() - started
    if code != 0:
        log = container.logs(tail=20).decode(errors="replace")
        raise NotHealthyError(f"{container.name} is not healthy after {took:.0f} s. Its log:\n{log}")
    return took


def address(container: Container) -> str:
    """Return the address by which this machine reaches a container.

    Raises:
        LookupError: when all of its networks are internal.
    """
    container.reload()
    attached: Mapping[str, Mapping[str, Any]] = container.attrs["NetworkSettings"]["Networks"]
    client = container.client
    assert client
    for name, endpoint in sorted(attached.items()):
        if not client.networks.get(name).attrs.get("Internal"):
            return str(endpoint["IPAddress"])
    raise LookupError(f"{container.name} has internal networks only")


@contextmanager
def changed_image(engine: docker.DockerClient, image: str, *, command: str, tag: str, label: str) -> Iterator[str]:
    """Yield an image that differs from `image` by what a shell command, run as root, does to its files."""
    work = engine.containers.create(
        image,
        entrypoint=["bash", "-euc", command],
        command=[],
        user="0:0",
        network_mode="none",
        labels={LABEL: label},
        healthcheck={"Test": ["NONE"]},
    )
    repository = "letta-platform.invalid/benchmark"
    made = None
    try:
        work.start()
        code = work.wait(timeout=300)["StatusCode"]
        if code:
            log = work.logs(tail=20).decode(errors="replace")
            raise NotHealthyError(f"changing {image} exited with code {code}:\n{log}")
        made = work.commit(repository, f"{label}-{tag}")
        yield f"{repository}:{label}-{tag}"
    finally:
        work.remove(force=True, v=True)
        if made:
            engine.images.remove(f"{repository}:{label}-{tag}", force=True)
