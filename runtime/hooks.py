"""What this program does around the creation of a resource, on the engine itself.

`refuse_foreign_volume` refuses a data volume that exists and belongs to another stack: the provider would adopt it
silently, and a later destroy would delete the other stack's data.

`follow_startup` shows the last log lines of a container that does not become healthy, and ends the wait at once
when it cannot: the provider neither checks exit codes nor shows logs, it only waits.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pulumi

if TYPE_CHECKING:
    import docker
    import docker.models.containers

LOG_LINES = 20
RESTARTS_UNTIL_HOPELESS = 3
POLL_SECONDS = 0.5


class ForeignVolumeError(Exception):
    """A volume of the wanted name is there, and is not this stack's."""


def _labels(inputs: Mapping[str, Any]) -> dict[str, str]:
    return {entry["label"]: entry["value"] for entry in inputs.get("labels") or []}


def refusal(name: str, *, wanted: Mapping[str, str], found: Mapping[str, str] | None) -> str | None:
    """Say why the volume `name` must not be adopted; None when it may be created or is this stack's."""
    if found is None:
        return None
    key = "letta-platform.stack-id"
    # At a first preview the id of the stack is not known yet: then any volume that exists is foreign.
    if wanted.get(key) and found.get(key) == wanted[key]:
        return None
    owner = found.get("letta-platform.stack")
    whose = f"stack '{owner}' with another state" if owner else "something outside this program"
    return (
        f"the data volume '{name}' exists already and belongs to {whose}. It is left alone.\n"
        "  - To go on with its data, use the state that created it (PULUMI_BACKEND_URL and passphrase), "
        "or restore that state with `pulumi stack import`.\n"
        f"  - To start empty, look what is in it, then remove it: `docker volume rm {name}`."
    )


def refuse_foreign_volume(args: pulumi.ResourceHookArgs) -> None:
    """Abort the creation of a data volume that exists under another owner.

    Raises:
        ForeignVolumeError: with what to do.
    """
    import docker
    import docker.errors

    inputs = args.new_inputs or {}
    client = docker.from_env()
    try:
        found = client.volumes.get(inputs["name"]).attrs.get("Labels") or {}
    except docker.errors.NotFound:
        return
    finally:
        client.close()
    reason = refusal(inputs["name"], wanted=_labels(inputs), found=found)
    if reason:
        raise ForeignVolumeError(reason)


def verdict(state: Mapping[str, Any], *, restarts: int, is_job: bool) -> str | None:
    """Say that a starting container is 'healthy' or 'hopeless'; None while it may still become healthy."""
    if (state.get("Health") or {}).get("Status") == "healthy":
        return "healthy"
    ended = state.get("Status") in {"exited", "dead"}
    # The engine has created it and could not start it.
    stillborn = state.get("Status") == "created" and bool(state.get("Error"))
    if is_job and (ended or stillborn):
        return "hopeless"
    if restarts >= RESTARTS_UNTIL_HOPELESS:
        return "hopeless"
    return None


def _report(container: docker.models.containers.Container, why: str) -> None:
    lines = container.logs(tail=LOG_LINES).decode(errors="replace").rstrip().splitlines()
    shown = "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"
    print(  # noqa: T201 - the language host shows standard error as a diagnostic of the update
        f"{container.name} {why}. Its last log lines:\n{shown}", file=sys.stderr, flush=True
    )


_jobs: dict[str, str] = {}
"""What is known of this update's JOBs: `runs` or `failed`; nothing before that, and once they have succeeded."""


def _follow(name: str, *, service: str, is_job: bool, seconds: float, startup_gate: str | None) -> None:
    import docker
    import docker.errors
    import requests

    failed = False
    try:
        client = docker.from_env()
        try:
            failed = not _succeeds(
                client, name, service, is_job=is_job, seconds=seconds, startup_gate=startup_gate
            )
        finally:
            client.close()
    except (docker.errors.DockerException, requests.RequestException) as error:
        # Of the container itself this says nothing.
        print(f"{name} could not be watched: {error}", file=sys.stderr, flush=True)  # noqa: T201
    if is_job and failed:
        _jobs[service] = "failed"
    elif is_job:
        _jobs.pop(service, None)


def _succeeds(
    client: docker.DockerClient, name: str, service: str, *, is_job: bool, seconds: float, startup_gate: str | None
) -> bool:
    import docker.errors

    container = None
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        if _jobs.get(startup_gate or "") == "runs":
            deadline = time.monotonic() + seconds
        try:
            container = client.containers.get(name)
        except docker.errors.NotFound:
            if container is None:
                continue  # not created yet
            return False  # somebody removed it, and the provider tells so
        if is_job:
            _jobs[service] = "runs"
        state = container.attrs["State"]
        now = verdict(state, restarts=container.attrs["RestartCount"], is_job=is_job)
        if now == "healthy":
            return True
        if now == "hopeless":
            failed = f"failed with exit code {state['ExitCode']}"
            _end(container, failed if is_job else f"{failed} and was restarted in vain")
            return False
        if _jobs.get(startup_gate or "") == "failed":
            _end(container, f"waited for the {startup_gate}, which failed, and was removed")
            return False
    if container is None:
        return False
    if startup_gate:
        # The provider would wait as long again as the JOB might have taken.
        _end(container, "did not become healthy in time")
    else:
        _report(container, "did not become healthy in time")
    return False


def _end(container: docker.models.containers.Container, why: str) -> None:
    _report(container, why)
    # Removing it ends the provider's wait at once; nothing else does before the timeout.
    container.remove(force=True)


def follow_startup(
    service: str, *, is_job: bool, seconds: int, startup_gate: str | None
) -> Callable[[pulumi.ResourceHookArgs], None]:
    """Give a hook that watches the container that is about to be created until it is healthy or out of time.

    With `startup_gate`, the time begins when the JOB of that service has ended, and ends when it has failed.
    """

    def begin(args: pulumi.ResourceHookArgs) -> None:
        _jobs.pop(service, None)
        threading.Thread(
            target=_follow,
            args=((args.new_inputs or {})["name"],),
            kwargs={
                "service": service,
                "is_job": is_job,
                # A second before the provider gives up, so that the log stands above its error.
                "seconds": max(seconds - 1, 1),
                "waits_for": startup_gate,
            },
            daemon=True,
        ).start()

    return begin
