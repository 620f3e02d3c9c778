"""The network tiers. Services of one tier reach each other, and nothing else.

edge        nginx alone; the only tier whose ports the API is published from
app         nginx ↔ server                          (internal: no route to the outside)
data        server and jobs ↔ Postgres, Redis       (internal)
telemetry   server ↔ collector                      (internal)
egress-…    one per service that must reach the outside, so that it does not connect services with each other
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import pulumi

from runtime import Runtime

TIERS: dict[str, bool] = {  # name → internal
    "edge": False,
    "app": True,
    "data": True,
    "telemetry": True,
    "egress-server": False,
    "egress-collector": False,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkArgs:
    """Where the tiers are created and which of them are needed."""

    runtime: Runtime
    subnet: ipaddress.IPv4Network | None
    """Network of at least /24 that the tiers are cut from; None: the runtime chooses."""
    tiers: tuple[str, ...]


def subnets(network: ipaddress.IPv4Network | None) -> dict[str, str | None]:
    """Return one equal subnet per tier; the same tier always gets the same one."""
    if network is None:
        return dict.fromkeys(TIERS)
    parts = network.subnets(prefixlen_diff=3)
    return {tier: str(part) for tier, part in zip(TIERS, parts, strict=False)}


class Network(pulumi.ComponentResource):
    """The tiers of one stack; `tier(name)` is what services attach to."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:network:Network", name, None, opts)
        cut = subnets(args.subnet)
        self._tiers = {
            tier: args.runtime.network(f"{name}-{tier}", internal=TIERS[tier], subnet=cut[tier], parent=self)
            for tier in args.tiers
        }
        self.register_outputs({})

    def tier(self, tier: str) -> pulumi.Output[str]:
        """Return the name of the network of a tier.

        Raises:
            KeyError: when this stack has no such tier.
        """
        return self._tiers[tier]
