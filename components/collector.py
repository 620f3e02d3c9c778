"""The OpenTelemetry collector: takes what servers (and clients on the host) send, and delivers it.

Owns the container, its configuration file and the volume with traces. What the configuration says is made in
`otel`, which knows no Pulumi.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

import otel
from runtime import Attachment, FileBundle, HealthCheck, Mount, PublishedPort, Rollout, Runtime, ServiceSpec

USER = 10005
DATA = "/var/lib/otelcol"
CONFIG = "/etc/otelcol"


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectorArgs:
    """Where telemetry goes and who may send it."""

    runtime: Runtime
    image: pulumi.Input[str]
    networks: tuple[pulumi.Input[str], ...]
    memory_mb: int
    cpus: float | None
    profile: otel.Profile
    log_level: str
    ports: tuple[PublishedPort, ...]
    traces_volume: str
    """Name of the volume that holds what the file exporters write."""
    protect_data: bool
    after: Sequence[pulumi.Resource]
    deadline_seconds: int


class Collector(pulumi.ComponentResource):
    """A collector whose pipelines run; `endpoint` is where servers send to."""

    endpoint: str
    ready: pulumi.Resource

    def __init__(self, name: str, args: CollectorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:telemetry:Collector", name, None, opts)
        volume = args.runtime.data_volume(args.traces_volume, protect=args.protect_data, parent=self)
        configuration = otel.render(otel.compose(args.profile, level=args.log_level, memory_mib=args.memory_mb))
        service = args.runtime.run(
            name,
            ServiceSpec(
                service="collector",
                image=args.image,
                user=USER,
                memory_mb=args.memory_mb,
                cpus=args.cpus,
                # It owns the volume with the files that it rotates.
                rollout=Rollout.STOP_FIRST,
                command=("--config", f"{CONFIG}/config.yaml"),
                # Go returns memory before the limit is hit instead of being killed at it.
                environment={"GOMEMLIMIT": otel.go_memory_limit(args.memory_mb)},
                bundles=(FileBundle(name="config", path=CONFIG, files={"config.yaml": configuration}),),
                mounts=(Mount(source=args.traces_volume, path=DATA),),
                networks=tuple(Attachment(network=network, aliases=("collector",)) for network in args.networks),
                ports=args.ports,
                health=HealthCheck(command=("/healthprobe",)),
                drain_seconds=30,
                deadline_seconds=args.deadline_seconds,
            ),
            parent=self,
            depends_on=[*args.after, volume],
        )
        self.endpoint = "http://collector:4317"
        self.ready = service.resource
        self.register_outputs({})
