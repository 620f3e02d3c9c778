"""Reads a stack's deployment: what exists, what it is called on the engine, which outputs it has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import catalogue

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


@dataclass(frozen=True, kw_only=True, slots=True)
class StateResource:
    """A network or volume that the state knows."""

    urn: str
    id: str
    """The engine's; of a volume its name."""
    name: str
    """On the engine."""
    service: str
    """Value of `catalogue.SERVICE_LABEL`; empty when it is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StateContainer(StateResource):
    """A container that the state knows."""

    runs: bool
    """Whether it is a service; a job ends, and a container that holds files never starts."""
    networks: frozenset[str]
    """Names of the networks that it is in."""


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

    def _created(self, kind: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """Yield what exists of a type and is to stay, each with its inputs."""
        for one in self.resources:
            if one["type"] == kind and one.get("id") and not one.get("delete"):
                yield one, one.get("inputs") or {}

    @property
    def containers(self) -> tuple[StateContainer, ...]:
        """The containers that should exist."""
        return tuple(
            StateContainer(
                urn=one["urn"],
                id=one["id"],
                name=_name(one),
                service=_service(inputs),
                runs=inputs.get("restart", "no") != "no",
                networks=frozenset(network["name"] for network in inputs.get("networksAdvanced") or ()),
            )
            for one, inputs in self._created(CONTAINER)
        )

    @property
    def networks(self) -> tuple[StateResource, ...]:
        """The networks that should exist."""
        return tuple(
            StateResource(urn=one["urn"], id=one["id"], name=_name(one), service=_service(inputs))
            for one, inputs in self._created(NETWORK)
        )

    @property
    def volumes(self) -> tuple[StateResource, ...]:
        """The volumes that should exist."""
        return tuple(
            StateResource(urn=one["urn"], id=_name(one), name=_name(one), service=_service(inputs))
            for one, inputs in self._created(VOLUME)
        )

    def replaced_with(self, urns: Collection[str]) -> tuple[str, ...]:
        """Return the URNs of what is replaced whenever one of these is."""
        return tuple(one["urn"] for one in self.resources if set(one.get("replaceWith") or ()) & set(urns))

    def sealed_output(self, key: str) -> str | None:
        """Return the ciphertext of an output that is a secret; None when it is not one, or not encrypted."""
        for resource in self.resources:
            if resource["type"] == STACK:
                value: Any = (resource.get("outputs") or {}).get(key)
                return value.get("ciphertext") if is_secret(value) else None
        return None

    @property
    def encryption_salt(self) -> str | None:
        """The salt of its secrets; None unless a passphrase encrypts them."""
        provider = self.deployment.get("secrets_providers") or {}
        return (provider.get("state") or {}).get("salt") if provider.get("type") == "passphrase" else None

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


def _name(resource: Mapping[str, Any]) -> str:
    """Return a resource's name on the engine."""
    known = (resource.get("outputs") or {}).get("name") or (resource.get("inputs") or {}).get("name")
    return known if isinstance(known, str) else str(resource["urn"].rpartition("::")[2])


def _service(inputs: Mapping[str, Any]) -> str:
    labels = inputs.get("labels") or ()
    return next((one["value"] for one in labels if one.get("label") == catalogue.SERVICE_LABEL), "")


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
