"""The volumes in which a stack keeps data that cannot be recreated: all that the catalogue lists, always.

Settings decide which of them are mounted, not which of them exist. Pulumi deletes a resource that the program no
longer registers, data included; if it is protected, every update fails instead (ADR 20).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

import catalogue
from runtime import Runtime, Volume

_POSTGRES = ("letta:data:Postgres", "postgres")
_TELEMETRY = ("letta:telemetry:Telemetry", "telemetry")
_COLLECTOR = ("letta:telemetry:Collector", "collector")
_OF_COLLECTOR = ((_TELEMETRY, _COLLECTOR), (_COLLECTOR,))

_FORMER_PARENTS: dict[str, tuple[tuple[tuple[str, str], ...], ...]] = {
    catalogue.POSTGRES_DATA: ((_POSTGRES,),),
    catalogue.LOGS: ((_TELEMETRY,),),
    catalogue.TRACES: _OF_COLLECTOR,
    **dict.fromkeys(catalogue.QUEUES, _OF_COLLECTOR),
}
"""Volume → the components (type, end of the name) that registered it in earlier versions, from the platform down.

Stacks that such a version deployed would get a new volume without them.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataVolumesArgs:
    """Whose volumes they are, and whether they are protected from removal."""

    runtime: Runtime
    stack: str
    """Prefix of their names."""
    protect: bool


class DataVolumes(pulumi.ComponentResource):
    """The data volumes of one stack; `volume(name)` is what services mount."""

    def __init__(self, name: str, args: DataVolumesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:data:DataVolumes", name, None, opts)
        platform = opts.parent if opts else None
        self._volumes = {
            volume: args.runtime.data_volume(
                f"{args.stack}-{volume}",
                protect=args.protect,
                parent=self,
                former_parents=[
                    _urn(args.stack, components, platform) for components in _FORMER_PARENTS.get(volume, ())
                ],
            )
            for service in catalogue.SERVICES
            for volume in service.data_volumes
        }
        self.register_outputs({})

    def volume(self, name: str) -> Volume:
        """Return the volume that the catalogue calls `name`.

        Raises:
            KeyError: when the catalogue has no such volume.
        """
        return self._volumes[name]


def _urn(
    stack: str, components: tuple[tuple[str, str], ...], platform: pulumi.Resource | None
) -> pulumi.Output[str]:
    """Return the URN of the last of the components, each of which is a child of the one before."""
    *outer, (kind, suffix) = components
    parent = _urn(stack, tuple(outer), platform) if outer else platform
    return pulumi.create_urn(f"{stack}-{suffix}", kind, parent)
