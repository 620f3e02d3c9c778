"""PostgreSQL 17 with pgvector: the container, its data volume, its roles.

There is no superuser password: administration happens over the Unix socket with peer authentication, and the
socket's volume is mounted by JOBs only. Two login roles (slot A and B) share one owner role; a rotation gives
the idle slot a new password and moves the servers over, so that both are valid while servers are replaced.
Does not own the schema (`migration`) and no backups.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_random as random

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

USER = 10002
DATABASE = "letta"
DATA = "/var/lib/postgresql/data"
SOCKET = "/run/postgresql"


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresArgs:
    """What distinguishes one database from another."""

    runtime: Runtime
    image: pulumi.Input[str]
    networks: tuple[pulumi.Input[str], ...]
    memory_mb: int
    cpus: float | None
    max_connections: int
    credential_generation: int
    """Counts rotations: an odd one uses slot A, an even one slot B."""
    protect_data: bool
    deadline_seconds: int
    published: PublishedPort | None = None


def slot_generations(generation: int) -> dict[str, int]:
    """Say how often each slot's password has been made anew: a step of the generation renews one, the idle one."""
    return {"a": (generation + 1) // 2, "b": generation // 2}


def settings(memory_mb: int, max_connections: int) -> tuple[str, ...]:
    """Size the server's memory after its limit: a quarter shared, the rest for connections and the page cache."""
    return (
        f"max_connections={max_connections}",
        f"shared_buffers={memory_mb // 4}MB",
        f"effective_cache_size={memory_mb // 2}MB",
    )


class Postgres(pulumi.ComponentResource):
    """A database that is healthy and has its roles; `uri` is a secret."""

    uri: pulumi.Output[str]
    ready: pulumi.Resource
    """Exists once the roles do."""
    data: pulumi.Resource

    def __init__(self, name: str, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:data:Postgres", name, None, opts)
        self.data = args.runtime.data_volume(f"{name}-data", protect=args.protect_data, parent=self)
        socket = args.runtime.scratch_volume(f"{name}-socket", parent=self)
        passwords = {
            slot: random.RandomPassword(
                f"{name}-password-{slot}",
                # Letters and digits only: Letta's migrations and its URI parsing break on anything else.
                length=40,
                special=False,
                keepers={"generation": str(generation)},
                opts=pulumi.ResourceOptions(parent=self),
            )
            for slot, generation in slot_generations(args.credential_generation).items()
        }
        server = args.runtime.run(
            name,
            ServiceSpec(
                service="postgres",
                image=args.image,
                user=USER,
                memory_mb=args.memory_mb,
                cpus=args.cpus,
                rollout=Rollout.STOP_FIRST,
                command=settings(args.memory_mb, args.max_connections),
                health=HealthCheck(command=("postgres-healthy",), interval_seconds=2, start_period_seconds=60),
                mounts=(Mount(source=f"{name}-data", path=DATA), Mount(source=socket, path=SOCKET)),
                tmpfs=(Tmpfs(path="/tmp", size_mb=64), Tmpfs(path="/run/tls", size_mb=1)),  # noqa: S108
                networks=tuple(Attachment(network=network, aliases=("postgres",)) for network in args.networks),
                ports=(args.published,) if args.published else (),
                # Fast shutdown: open transactions are rolled back, and the next start needs no recovery.
                stop_signal="SIGINT",
                drain_seconds=60,
                deadline_seconds=args.deadline_seconds,
                # Parallel vector queries exchange tuples through shared memory.
                shared_memory_mb=128,
            ),
            parent=self,
            depends_on=[self.data],
        )
        roles = args.runtime.run(
            f"{name}-roles",
            ServiceSpec(
                service="roles",
                image=args.image,
                user=USER,
                memory_mb=64,
                rollout=Rollout.JOB,
                command=("postgres-roles",),
                environment={"DATABASE": DATABASE},
                bundles=(
                    FileBundle(
                        name="secrets",
                        path="/run/secrets",
                        files={
                            f"LETTA_{slot.upper()}_PASSWORD": pulumi.Output.secret(password.result)
                            for slot, password in passwords.items()
                        },
                    ),
                ),
                mounts=(Mount(source=socket, path=SOCKET),),
                tmpfs=(Tmpfs(path="/tmp", size_mb=16),),  # noqa: S108
                deadline_seconds=60,
            ),
            parent=self,
            depends_on=[server.resource],
            # A new data volume has no roles.
            replace_with=[self.data],
        )
        slot = "a" if args.credential_generation % 2 else "b"
        secret: pulumi.Output[str] = pulumi.Output.secret(passwords[slot].result)
        self.uri = pulumi.Output.concat("postgresql://letta_", slot, ":", secret, f"@postgres:5432/{DATABASE}")
        self.ready = roles.resource
        self.register_outputs({})
