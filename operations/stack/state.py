"""Reads a stack's deployment: what exists, what it is called on the engine, which outputs it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - Pulumi's mark of a secret, not one

CONTAINER = "docker:index/container:Container"
IMAGE = "docker:index/remoteImage:RemoteImage"
VOLUME = "docker:index/volume:Volume"
NETWORK = "docker:index/network:Network"
UUID = "random:index/randomUuid:RandomUuid"
STACK = "pulumi:pulumi:Stack"


def is_secret(value: object) -> bool:
    """Whether a value of a state is a secret."""
    return isinstance(value, Mapping) and value.get(_SIGNATURE_KEY) == _SECRET


@dataclass(frozen=True, slots=True)
class StackState:
    """What Pulumi knows of a stack."""

    deployment: Mapping[str, Any]

    @property
    def resources(self) -> Sequence[Mapping[str, Any]]:
        """Everything in the state, including what is waiting for deletion."""
        return self.deployment.get("resources") or ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is deployed."""
        return not any(resource.get("custom") and resource.get("id") for resource in self.resources)

    @property
    def container_ids(self) -> frozenset[str]:
        """The engine's ids of its containers."""
        return frozenset(one["id"] for one in self.resources if one["type"] == CONTAINER and one.get("id"))

    @property
    def volume_names(self) -> frozenset[str]:
        """Names on the engine of its volumes."""
        names = ((one.get("outputs") or {}).get("name") for one in self.resources if one["type"] == VOLUME)
        return frozenset(name for name in names if isinstance(name, str))

    @property
    def network_ids(self) -> frozenset[str]:
        """The engine's ids of its networks."""
        return frozenset(one["id"] for one in self.resources if one["type"] == NETWORK and one.get("id"))

    @property
    def stack_id(self) -> str | None:
        """What distinguishes it from stacks of the same name in other states; None before the first deployment."""
        for one in self.resources:
            result = (one.get("outputs") or {}).get("result")
            # A component has no other one; the name is `letta-<stack>-id`.
            if one["type"] == UUID and one["urn"].endswith("-id") and isinstance(result, str):
                return result
        return None

    @property
    def images(self) -> Mapping[str, str]:
        """URN → name of the images that it built."""
        found = {}
        for resource in self.resources:
            name = (resource.get("outputs") or {}).get("name")
            if resource["type"] == IMAGE and isinstance(name, str) and not resource.get("delete"):
                found[resource["urn"]] = name
        return found

    @property
    def pending(self) -> tuple[str, ...]:
        """URNs of what an interrupted update was about to create; it may or may not exist."""
        operations = self.deployment.get("pending_operations") or ()
        return tuple(one["resource"]["urn"] for one in operations if one.get("type") == "creating")

    @property
    def pending_names(self) -> frozenset[str]:
        """Names on the engine of what an interrupted update was about to create."""
        operations = self.deployment.get("pending_operations") or ()
        names = ((one["resource"].get("inputs") or {}).get("name") for one in operations)
        return frozenset(name for name in names if isinstance(name, str))

    @property
    def protected(self) -> tuple[str, ...]:
        """Names of the resources that are protected from deletion."""
        return tuple(one["urn"].rpartition("::")[2] for one in self.resources if one.get("protect"))

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The stack's outputs; a secret is None."""
        for resource in self.resources:
            if resource["type"] == STACK:
                outputs: Mapping[str, Any] = resource.get("outputs") or {}
                return {key: None if is_secret(value) else value for key, value in outputs.items()}
        return {}

    def secret_values(self) -> Iterator[str]:
        """Yield every secret text, if the state was exported with secrets in plain text."""
        yield from _secrets(self.deployment.get("resources") or [])


def _secrets(value: object) -> Iterator[str]:
    if is_secret(value):
        import json

        text = value.get("plaintext")  # type: ignore[attr-defined]
        if isinstance(text, str):
            yield from _texts(json.loads(text))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secrets(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
