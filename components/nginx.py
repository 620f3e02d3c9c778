"""The edge: nginx, through which every request to the API goes.

Traffic is switched, not discovered. A route file names the healthy servers; a job writes it once new servers are
healthy, before old ones are removed. A shared network alias would send requests to servers that still start, or
failed to. Owns the route and the published port; not TLS, which does not exist yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pulumi

import catalogue
from runtime import (
    Attachment,
    FileBundle,
    HealthCheck,
    Limits,
    Mount,
    PublishedPort,
    Rollout,
    Runtime,
    ServiceSpec,
    Tmpfs,
)

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
    limits: Limits
    published: PublishedPort
    servers: Sequence[pulumi.Input[str]]
    """`name:port` of every healthy server."""
    debug: bool
    after: Sequence[pulumi.Resource]
    """What must exist before servers get a request. nginx itself does not wait: without a route it answers 502."""
    deadline_seconds: int


def configuration(*, debug: bool) -> str:
    """Return nginx' main configuration; it includes the route from files that the image's programs write."""
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
    """Return a name for the route to these servers, by which the job knows when nginx has loaded it."""
    return hashlib.sha256("\n".join(servers).encode()).hexdigest()[:12]


class Nginx(pulumi.ComponentResource):
    """An edge whose route leads to the given servers once `ready` exists."""

    ready: pulumi.Resource

    def __init__(self, name: str, args: NginxArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:edge:Nginx", name, None, opts)
        route_volume = args.runtime.scratch_volume(f"{name}-route", parent=self)
        config = args.runtime.files(
            f"{name}-config",
            FileBundle(
                service=catalogue.NGINX.name,
                owner=catalogue.NGINX.user,
                path=CONFIG,
                files={"nginx.conf": configuration(debug=args.debug)},
            ),
            parent=self,
        )
        edge = args.runtime.run(
            name,
            ServiceSpec(
                service=catalogue.NGINX.name,
                image=args.image,
                user=catalogue.NGINX.user,
                limits=args.limits,
                rollout=Rollout.STOP_FIRST,
                files=(config,),
                mounts=(Mount(volume=route_volume, path=ROUTE, read_only=True),),
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
                user=catalogue.NGINX.user,
                limits=Limits(memory_mb=32),
                rollout=Rollout.JOB,
                command=("write-route", servers.apply(route_version), *args.servers),
                mounts=(Mount(volume=route_volume, path=ROUTE),),
                tmpfs=(Tmpfs(path="/tmp", size_mb=4),),  # noqa: S108
                networks=(Attachment(network=args.app_network),),
                deadline_seconds=60,
            ),
            parent=self,
            depends_on=[edge.resource, *args.after],
        )
        self.ready = route.resource
        self.register_outputs({})
