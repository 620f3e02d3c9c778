"""What this program does around the creation of a resource, on the engine itself.

`refuse_foreign_volume` refuses a data volume that exists and belongs to another stack: the provider would adopt it
silently, and a later destroy would delete the other stack's data.

`StartupFollower` shows the last log lines of a container that does not become healthy, and ends the wait at once
when it cannot become so: the provider neither checks exit codes nor shows logs, it only waits.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pulumi

import catalogue

if TYPE_CHECKING:
    import docker
    import docker.models.containers

LOG_LINES = 20
RESTARTS_UNTIL_HOPELESS = 3
POLL_SECONDS = 0.5

Hook = Callable[[pulumi.ResourceHookArgs], None]


class ForeignVolumeError(Exception):
    """A volume of the wanted name exists and is not this stack's."""


def _labels(inputs: Mapping[str, Any]) -> dict[str, str]:
    return {entry["label"]: entry["value"] for entry in inputs.get("labels") or []}


def refusal(name: str, *, wanted: Mapping[str, str], found: Mapping[str, str] | None) -> str | None:
    """Return why the volume `name` must not be adopted; None when it may be created or is this stack's."""
    if found is None:
        return None
    key = catalogue.STACK_ID_LABEL
    # At a first preview the id of the stack is not known yet: then any volume that exists is foreign.
    if wanted.get(key) and found.get(key) == wanted[key]:
        return None
    owner = found.get(catalogue.STACK_LABEL)
    whose = f"a stack '{owner}' of another state" if owner else "something outside this program"
    return (
        f"the data volume '{name}' already exists and belongs to {whose}. It was not touched.\n"
        "  - To use its data, use the state that created it (PULUMI_BACKEND_URL and passphrase), "
        "or restore that state with `pulumi stack import`.\n"
        f"  - To start empty, check what is in it, then remove it: `docker volume rm {name}`."
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


class Verdict(StrEnum):
    """What the state of a starting container says about its start."""

    HEALTHY = "healthy"
    HOPELESS = "hopeless"


def verdict(state: Mapping[str, Any], *, restarts: int, is_job: bool) -> Verdict | None:
    """Return how the start of a container has ended; None while it may still become healthy."""
    if (state.get("Health") or {}).get("Status") == "healthy":
        return Verdict.HEALTHY
    ended = state.get("Status") in {"exited", "dead"}
    # The engine has created it and could not start it.
    never_started = state.get("Status") == "created" and bool(state.get("Error"))
    if is_job and (ended or never_started):
        return Verdict.HOPELESS
    if restarts >= RESTARTS_UNTIL_HOPELESS:
        return Verdict.HOPELESS
    return None


def _report(container: docker.models.containers.Container, why: str) -> None:
    lines = container.logs(tail=LOG_LINES).decode(errors="replace").rstrip().splitlines()
    shown = "\n".join(f"    {line}" for line in lines) or "    (no output)"
    print(  # noqa: T201 - the language host shows standard error as a diagnostic of the update
        f"{container.name} {why}. Its last log lines:\n{shown}", file=sys.stderr, flush=True
    )


def _end(container: docker.models.containers.Container, why: str) -> None:
    _report(container, why)
    # Removing it ends the provider's wait at once; nothing else does before the timeout.
    container.remove(force=True)


class _JobState(StrEnum):
    RUNNING = "running"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Start:
    """A start that is followed."""

    service: str
    is_job: bool
    seconds: float
    startup_gate: str | None


class StartupFollower:
    """Follows the starts of one update, each in a thread of its own; knows how its jobs are doing."""

    def __init__(self) -> None:
        self._jobs: dict[str, _JobState] = {}
        """By service. A job that has not been created yet, or has succeeded, is not in it."""

    def hook(self, service: str, *, is_job: bool, seconds: int, startup_gate: str | None) -> Hook:
        """Return a hook that follows the container about to be created until it is healthy or out of time.

        With `startup_gate`, the time begins when the job of that service has ended; when the job fails, the
        container is removed.
        """
        # A second before the provider gives up, so that the log stands above its error.
        start = _Start(service=service, is_job=is_job, seconds=max(seconds - 1, 1), startup_gate=startup_gate)

        def begin(args: pulumi.ResourceHookArgs) -> None:
            self._jobs.pop(service, None)
            name = (args.new_inputs or {})["name"]
            threading.Thread(target=self._follow, args=(name, start), daemon=True).start()

        return begin

    def _follow(self, name: str, start: _Start) -> None:
        import docker
        import docker.errors
        import requests

        failed = False
        try:
            client = docker.from_env()
            try:
                failed = not self._succeeds(client, name, start)
            finally:
                client.close()
        except (docker.errors.DockerException, requests.RequestException) as error:
            # This says nothing about the container itself.
            print(f"the start of {name} could not be followed: {error}", file=sys.stderr, flush=True)  # noqa: T201
        if start.is_job and failed:
            self._jobs[start.service] = _JobState.FAILED
        elif start.is_job:
            self._jobs.pop(start.service, None)

    def _succeeds(self, client: docker.DockerClient, name: str, start: _Start) -> bool:
        import docker.errors

        container = None
        deadline = time.monotonic() + start.seconds
        while time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            gate = self._jobs.get(start.startup_gate or "")
            if gate is _JobState.RUNNING:
                deadline = time.monotonic() + start.seconds
            try:
                container = client.containers.get(name)
            except docker.errors.NotFound:
                if container is None:
                    continue  # not created yet
                return False  # removed by someone else, which the provider reports
            if start.is_job:
                self._jobs[start.service] = _JobState.RUNNING
            state = container.attrs["State"]
            now = verdict(state, restarts=container.attrs["RestartCount"], is_job=start.is_job)
            if now is Verdict.HEALTHY:
                return True
            if now is Verdict.HOPELESS:
                failed = f"failed with exit code {state['ExitCode']}"
                again = "" if start.is_job else f" and kept failing after {RESTARTS_UNTIL_HOPELESS} restarts"
                _end(container, f"{failed}{again}")
                return False
            if self._jobs.get(start.startup_gate or "") is _JobState.FAILED:
                _end(container, f"was removed, because the job '{start.startup_gate}' that it waits for failed")
                return False
        if container is None:
            return False
        if start.startup_gate:
            # The provider would wait as long again as the job might have taken.
            _end(container, "did not become healthy in time")
        else:
            _report(container, "did not become healthy in time")
        return False
