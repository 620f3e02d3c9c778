"""Redis: streams of background runs, locks, caches. Nothing in it has to survive a restart.

It has no password because Letta can send none; the `data` tier, which is internal, is its protection.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

import catalogue
from runtime import Attachment, HealthCheck, Limits, PublishedPort, Rollout, Runtime, ServiceSpec, Tmpfs

PORT = 6379


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisArgs:
    """What distinguishes one Redis from another."""

    runtime: Runtime
    image: pulumi.Input[str]
    network: pulumi.Input[str]
    limits: Limits
    deadline_seconds: int
    published: PublishedPort | None


class Redis(pulumi.ComponentResource):
    """A Redis that answers, under the name `redis` on its networks."""

    ready: pulumi.Resource

    def __init__(self, name: str, args: RedisArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:data:Redis", name, None, opts)
        server = args.runtime.run(
            name,
            ServiceSpec(
                service=catalogue.REDIS.name,
                image=args.image,
                user=catalogue.REDIS.user,
                limits=args.limits,
                rollout=Rollout.STOP_FIRST,
                # The rest is for the server itself and its connections.
                environment={"REDIS_MAXMEMORY_MB": str(args.limits.memory_mb - 30)},
                health=HealthCheck(command=("redis-healthy",), interval_seconds=2),
                tmpfs=(Tmpfs(path="/data", size_mb=4),),
                networks=(Attachment(network=args.network, aliases=("redis",)),),
                ports=(args.published,) if args.published else (),
                drain_seconds=10,
                deadline_seconds=args.deadline_seconds,
            ),
            parent=self,
        )
        self.ready = server.resource
        self.register_outputs({})
