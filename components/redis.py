"""Redis: streams of background runs, locks, caches. Nothing in it must outlive it.

It has no password because Letta can send none; the `data` tier, which is internal, is its protection.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from runtime import Attachment, HealthCheck, PublishedPort, Rollout, Runtime, ServiceSpec, Tmpfs

USER = 10003


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisArgs:
    """What distinguishes one Redis from another."""

    runtime: Runtime
    image: pulumi.Input[str]
    networks: tuple[pulumi.Input[str], ...]
    memory_mb: int
    cpus: float | None
    deadline_seconds: int
    published: PublishedPort | None = None


class Redis(pulumi.ComponentResource):
    """A Redis that answers, under the name `redis` on its networks."""

    ready: pulumi.Resource

    def __init__(self, name: str, args: RedisArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:data:Redis", name, None, opts)
        server = args.runtime.run(
            name,
            ServiceSpec(
                service="redis",
                image=args.image,
                user=USER,
                memory_mb=args.memory_mb,
                cpus=args.cpus,
                rollout=Rollout.STOP_FIRST,
                # The rest is for the server itself and its connections.
                environment={"REDIS_MAXMEMORY_MB": str(args.memory_mb - 30)},
                health=HealthCheck(command=("redis-healthy",), interval_seconds=2),
                tmpfs=(Tmpfs(path="/data", size_mb=4),),
                networks=tuple(Attachment(network=network, aliases=("redis",)) for network in args.networks),
                ports=(args.published,) if args.published else (),
                drain_seconds=10,
                deadline_seconds=args.deadline_seconds,
            ),
            parent=self,
        )
        self.ready = server.resource
        self.register_outputs({})
