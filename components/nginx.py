"""The edge: nginx, the only way to the API.

Traffic is switched, not discovered. A route file names the servers that are healthy; a JOB writes it when new ones
are, before old ones go. A shared network alias would send requests to servers that still start, or failed to.
Owns the route and the published port; not TLS, which is not there yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pulumi

from runtime import (
    Attachment,
    FileBundle,
    HealthCheck,
    Mount,
    PublishedPort,
    Rollout,
    Runtime,
    ServiceSpec,
    Tmpfs,
)

USER = 10004
PORT = 8080
CONFIG = "/etc/nginx/letta"
ROUTE = "/var/lib/route"
STREAM_SECONDS = 1800
"""Letta ends a stream that carries nothing but pings after this time, so no answer takes longer."""
BODY_LIMIT_MB = 256
"""The largest body that Letta accepts anywhere (message batches)."""

_TMPFS = (
    Tmpfs(path="/run/nginx", size_mb=4),
    Tmpfs(path="/tmp", size_mb=4),  # noqa: S108
    Tmpfs(path="/var/cache/nginx", size_mb=16),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class NginxArgs:
    """What is published, and which servers it leads to."""

    runtime: Runtime
    image: pulumi.Input[str]
    edge_network: pulumi.Input[str]
    app_network: pulumi.Input[str]
    memory_mb: int
    cpus: float | None
    published: PublishedPort
    servers: Sequence[pulumi.Input[str]]
    """`name:port` of every healthy server."""
    debug: bool
    after: Sequence[pulumi.Resource]
    """What must be there before they get a request. nginx itself starts beside them: no route is 502."""
    deadline_seconds: int


def configuration(*, debug: bool) -> str:
    """Render nginx' main configuration; the route is included from files that the image writes."""
    template = Path(__file__).with_name("nginx.conf.j2").read_text()
    environment = jinja2.Environment(  # noqa: S701 - a configuration file, not a page
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return environment.from_string(template).render(
        log_level="info" if debug else "warn",
        stream_seconds=STREAM_SECONDS,
        body_limit_mb=BODY_LIMIT_MB,
    )


def route_version(servers: Sequence[str]) -> str:
    """Name a route after the servers in it, so that the JOB can tell when nginx has loaded it."""
    return hashlib.sha256("\n".join(servers).encode()).hexdigest()[:12]


class Nginx(pulumi.ComponentResource):
    """An edge whose route leads to the given servers."""

    ready: pulumi.Resource

    def __init__(self, name: str, args: NginxArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:edge:Nginx", name, None, opts)
        route_volume = args.runtime.scratch_volume(f"{name}-route", parent=self)
        edge = args.runtime.run(
            name,
            ServiceSpec(
                service="nginx",
                image=args.image,
                user=USER,
                memory_mb=args.memory_mb,
                cpus=args.cpus,
                rollout=Rollout.STOP_FIRST,
                bundles=(
                    FileBundle(name="config", path=CONFIG, files={"nginx.conf": configuration(debug=args.debug)}),
                ),
                mounts=(Mount(source=route_volume, path=ROUTE, read_only=True),),
                tmpfs=_TMPFS,
                networks=(
                    Attachment(network=args.edge_network),
                    Attachment(network=args.app_network, aliases=("nginx",)),
                ),
                ports=(args.published,),
                health=HealthCheck(command=("nginx-healthy",), interval_seconds=2),
                stop_signal="SIGQUIT",
                drain_seconds=30,
                deadline_seconds=args.deadline_seconds,
            ),
            parent=self,
        )
        servers = pulumi.Output.all(*args.servers)
        route = args.runtime.run(
            f"{name}-route",
            ServiceSpec(
                service="route",
                image=args.image,
                user=USER,
                memory_mb=32,
                rollout=Rollout.JOB,
                command=("write-route", servers.apply(route_version), *args.servers),
                mounts=(Mount(source=route_volume, path=ROUTE),),
                tmpfs=(Tmpfs(path="/tmp", size_mb=4),),  # noqa: S108
                networks=(Attachment(network=args.app_network),),
                deadline_seconds=60,
            ),
            parent=self,
            depends_on=[edge.resource, *args.after],
        )
        self.ready = route.resource
        self.register_outputs({})
