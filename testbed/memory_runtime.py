"""A runtime that runs nothing: it records what components ask for, and knows no Docker.

It is the second implementation of `runtime.Runtime`: what components promise (rollout, health, networks, where
secrets go) is tested on it, and holds for every runtime.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from runtime import FileBundle, Files, RunningService, RuntimeArgs, ServiceSpec, Volume


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedNetwork:
    """A network that was asked for."""

    internal: bool
    subnet: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedVolume:
    """A volume that was asked for."""

    is_data: bool
    protect: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedService:
    """A service that was asked for; the spec's outputs are resolved once `MemoryRuntime.resolve` is done."""

    spec: ServiceSpec
    depends_on: tuple[str, ...]
    """Logical names of what it waits for in addition to what it mounts."""
    replace_with: tuple[str, ...]
    shows_secrets: bool = False
    """Whether any part of the spec, which runtimes show to everyone, is secret."""


class Thing(pulumi.ComponentResource):
    """Stands for something that a real runtime would create: a `Network`, `Volume`, `Files` or `Service`."""

    def __init__(
        self, kind: str, name: str, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource] = ()
    ) -> None:
        opts = pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on))
        super().__init__(f"memory:runtime:{kind}", name, None, opts)
        self.kind = kind
        self.logical_name = name
        self.register_outputs({})


class MemoryRuntime:
    """Keeps what it was asked for, by logical name; implements `runtime.Runtime`."""

    def __init__(self, args: RuntimeArgs) -> None:
        self.args = args
        self.networks: dict[str, RecordedNetwork] = {}
        self.volumes: dict[str, RecordedVolume] = {}
        self.bundles: dict[str, FileBundle] = {}
        self.services: dict[str, RecordedService] = {}

    def network(
        self, name: str, *, internal: bool, subnet: str | None, parent: pulumi.Resource
    ) -> pulumi.Output[str]:
        """See `runtime.Runtime.network`."""
        Thing("Network", name, parent)
        self.networks[name] = RecordedNetwork(internal=internal, subnet=subnet)
        return pulumi.Output.from_input(name)

    def data_volume(self, name: str, *, protect: bool, parent: pulumi.Resource) -> Volume:
        """See `runtime.Runtime.data_volume`."""
        self.volumes[name] = RecordedVolume(is_data=True, protect=protect)
        return Volume(name=name, resource=Thing("Volume", name, parent))

    def scratch_volume(self, name: str, *, parent: pulumi.Resource) -> Volume:
        """See `runtime.Runtime.scratch_volume`."""
        self.volumes[name] = RecordedVolume(is_data=False, protect=False)
        return Volume(name=pulumi.Output.from_input(name), resource=Thing("Volume", name, parent))

    def files(self, name: str, bundle: FileBundle, *, parent: pulumi.Resource) -> Files:
        """See `runtime.Runtime.files`."""
        self.bundles[name] = bundle
        return Files(name=name, path=bundle.path, resource=Thing("Files", name, parent))

    def run(
        self,
        name: str,
        spec: ServiceSpec,
        *,
        parent: pulumi.Resource,
        depends_on: Sequence[pulumi.Resource] = (),
        replace_with: Sequence[pulumi.Resource] = (),
    ) -> RunningService:
        """See `runtime.Runtime.run`."""
        self.services[name] = RecordedService(
            spec=spec, depends_on=_names(depends_on), replace_with=_names(replace_with)
        )
        return RunningService(
            name=pulumi.Output.from_input(name),
            resource=Thing("Service", name, parent, (*depends_on, *spec.mounted)),
        )

    async def resolve(self) -> None:
        """Replace the outputs in what was recorded by their values; possible once the program has ended."""
        for name, bundle in self.bundles.items():
            self.bundles[name] = (await _resolved(bundle))[0]
        for name, service in self.services.items():
            spec, secret = await _resolved(service.spec)
            self.services[name] = dataclasses.replace(service, spec=spec, shows_secrets=secret)

    def contents(self, bundle: str) -> dict[str, str]:
        """Return the files of a bundle, resolved: path → content."""
        recorded = self.bundles[bundle]
        return {f"{recorded.path}/{name}": str(content) for name, content in recorded.files.items()}


def _names(resources: Sequence[pulumi.Resource]) -> tuple[str, ...]:
    return tuple(one.logical_name for one in resources if isinstance(one, Thing))


async def _resolved(value: Any) -> tuple[Any, bool]:
    """Return the value with its outputs resolved, and whether any of them is secret."""
    if isinstance(value, pulumi.Output):
        return await value.future(), await value.is_secret()
    if isinstance(value, tuple):
        found = [await _resolved(one) for one in value]
        return tuple(one for one, _ in found), any(secret for _, secret in found)
    if isinstance(value, Mapping):
        entries = {key: await _resolved(one) for key, one in value.items()}
        return {key: one for key, (one, _) in entries.items()}, any(secret for _, secret in entries.values())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: await _resolved(getattr(value, field.name)) for field in dataclasses.fields(value)}
        plain = dataclasses.replace(value, **{name: one for name, (one, _) in parts.items()})
        return plain, any(secret for _, secret in parts.values())
    return value, False
