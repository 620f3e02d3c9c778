"""A Docker engine reached through the Docker SDK; implements `operations.engine.protocol.Engine`."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import docker
import docker.errors
import docker.types
import docker.utils
import requests.exceptions

import catalogue
from operations.engine.answers import (
    parse_build_record,
    parse_container,
    parse_facts,
    parse_inspection,
    parse_memory,
)
from operations.engine.protocol import (
    BuildRecord,
    Container,
    EngineFacts,
    EngineUnreachableError,
    Image,
    Inspection,
    Network,
    Volume,
)

TIMEOUT_SECONDS = 60


def _filters(stack: str | None) -> dict[str, Any]:
    return {"label": [f"{catalogue.STACK_LABEL}={stack}"]} if stack else {}


class DockerEngine:
    """The engine that `DOCKER_HOST` names, or the one on the usual socket.

    Raises:
        EngineUnreachableError: when none answers.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.address = environment.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        try:
            settings = docker.utils.kwargs_from_env(environment=dict(environment))
            settings.setdefault("base_url", self.address)
            self._api = docker.APIClient(
                **settings,
                version="auto",
                timeout=TIMEOUT_SECONDS,
                use_ssh_client=self.address.startswith("ssh://"),
            )
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
            raise EngineUnreachableError(f"{self.address}: {_reason(error)}") from None

    @property
    def is_local(self) -> bool:
        """See `Engine`."""
        return self.address.startswith(("unix://", "npipe://"))

    def facts(self) -> EngineFacts:
        """See `Engine`."""
        return parse_facts(self._api.info())

    def containers(self, stack: str | None = None) -> tuple[Container, ...]:
        """See `Engine`."""
        listed = self._api.containers(all=True, filters=_filters(stack))
        return tuple(sorted(map(parse_container, listed), key=lambda one: one.name))

    def inspect(self, container: str) -> Inspection | None:
        """See `Engine`."""
        try:
            return parse_inspection(self._api.inspect_container(container))
        except docker.errors.NotFound:
            return None

    def memory_used(self, container: str) -> int | None:
        """See `Engine`."""
        try:
            return parse_memory(self._api.stats(container, stream=False, one_shot=True))
        except docker.errors.APIError:
            return None

    def last_lines(self, container: str, count: int) -> str:
        """See `Engine`."""
        try:
            log: bytes = self._api.logs(container, tail=count)
        except docker.errors.APIError as error:
            return f"(no log: {error.explanation})"
        return log.decode(errors="replace").rstrip()

    def volumes(self, stack: str | None = None) -> tuple[Volume, ...]:
        """See `Engine`."""
        found = []
        for raw in self._api.volumes(filters=_filters(stack)).get("Volumes") or []:
            attached = raw.get("Labels") or {}
            found.append(
                Volume(
                    name=raw["Name"],
                    stack=attached.get(catalogue.STACK_LABEL),
                    stack_id=attached.get(catalogue.STACK_ID_LABEL),
                    service=attached.get(catalogue.SERVICE_LABEL),
                )
            )
        return tuple(sorted(found, key=lambda one: one.name))

    def networks(self, stack: str | None = None) -> tuple[Network, ...]:
        """See `Engine`."""
        found = []
        for raw in self._api.networks(filters=_filters(stack)):
            attached = raw.get("Labels") or {}
            found.append(
                Network(
                    id=raw["Id"],
                    name=raw["Name"],
                    stack=attached.get(catalogue.STACK_LABEL),
                    stack_id=attached.get(catalogue.STACK_ID_LABEL),
                )
            )
        return tuple(found)

    def images(self) -> tuple[Image, ...]:
        """See `Engine`."""
        found = []
        for raw in self._api.images():
            tags = tuple(tag for tag in raw.get("RepoTags") or () if tag != "<none>:<none>")
            by_name = any(tag.startswith(catalogue.IMAGE_PREFIX) for tag in tags)
            by_label = catalogue.IMAGE_LABEL in (raw.get("Labels") or {}) and not tags
            found.append(Image(id=raw["Id"], tags=tags, size=raw["Size"], ours=by_name or by_label))
        return tuple(found)

    def build_records(self) -> tuple[BuildRecord, ...]:
        """See `Engine`."""
        return tuple(parse_build_record(raw) for raw in self._api.df().get("BuildCache") or [])

    def start(self, container: str) -> str | None:
        """See `Engine`."""
        try:
            if self._api.inspect_container(container)["State"]["Paused"]:
                self._api.unpause(container)
            else:
                self._api.start(container)
        except docker.errors.APIError as error:
            return str(error.explanation or error)
        return None

    def restart(self, container: str) -> str | None:
        """See `Engine`."""
        try:
            self._api.restart(container, timeout=TIMEOUT_SECONDS)
        except docker.errors.APIError as error:
            return str(error.explanation or error)
        return None

    def remove_container(self, container: str) -> None:
        """See `Engine`."""
        _ignore_absence(lambda: self._api.remove_container(container, force=True))

    def remove_volume(self, name: str) -> None:
        """See `Engine`."""
        _ignore_absence(lambda: self._api.remove_volume(name))

    def remove_network(self, network: str) -> None:
        """See `Engine`."""
        _ignore_absence(lambda: self._api.remove_network(network))

    def remove_image(self, image: str) -> None:
        """See `Engine`."""
        _ignore_absence(lambda: self._api.remove_image(image, force=True))

    def prune_build_records(self, ids: Collection[str]) -> int:
        """See `Engine`."""
        freed = 0
        for one in ids:
            # The filter takes one id at a time: several would match all records.
            wanted: Any = {"id": [one]}
            answer = self._api.prune_builds(filters=wanted, all=True)
            freed += answer.get("SpaceReclaimed") or 0
        return freed

    def run_once(
        self, image: str, command: Sequence[str], *, stack: str, user: int, mounts: Mapping[str, str]
    ) -> _ContainerOutput:
        """See `Engine`."""
        container = self._api.create_container(
            image,
            name=f"letta-{stack}-reader-{secrets.token_hex(4)}",
            command=list(command),
            user=f"{user}:{user}",
            network_disabled=True,
            labels={catalogue.READER_LABEL: stack},
            host_config=self._api.create_host_config(
                binds={volume: {"bind": path, "mode": "ro"} for volume, path in mounts.items()},
                network_mode="none",
                read_only=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges:true"],
                init=True,
                log_config=docker.types.LogConfig(type="none"),
            ),
        )["Id"]
        return _ContainerOutput(self._api, container)


class _ContainerOutput:
    """The output of a temporary container, which is removed at the end; implements `Output`."""

    def __init__(self, api: docker.APIClient, container: str) -> None:
        self._api = api
        self._container = container

    def __iter__(self) -> Iterator[bytes]:
        try:
            stream = self._api.attach(self._container, stdout=True, stderr=False, stream=True)
            self._api.start(self._container)
            yield from stream
        finally:
            self.close()

    def close(self) -> None:
        _ignore_absence(lambda: self._api.remove_container(self._container, force=True))


def _ignore_absence(action: Any) -> None:
    try:
        action()
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        if "already in progress" not in str(error):
            raise


def _reason(error: BaseException) -> str:
    text = str(error)
    for known in ("Permission denied", "No such file or directory", "Connection refused", "timed out"):
        if known in text:
            return known
    return text.splitlines()[0] if text else type(error).__name__


def connect(environment: Mapping[str, str]) -> DockerEngine:
    """Connect to the engine.

    Raises:
        EngineUnreachableError: when none answers.
    """
    return DockerEngine(environment)
