"""PostgreSQL 17 with pgvector: the container and its roles.

There is no superuser password: administration happens over the Unix socket with peer authentication, and the
socket's volume is mounted by jobs only. Two login roles (slot A and B) share one owner role; a rotation sets a new
password for the idle slot and moves the servers over, so that both are valid while servers are replaced.
Does not own the schema (`migration`), the data volume (`data_volumes`), nor backups.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_random as random

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
    Volume,
)

PORT = 5432
ROLES = "roles"
DATABASE = "letta"
DATA = "/var/lib/postgresql/data"
SOCKET = "/run/postgresql"


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresArgs:
    """What distinguishes one database from another."""

    runtime: Runtime
    image: pulumi.Input[str]
    network: pulumi.Input[str]
    limits: Limits
    max_connections: int
    credential_generation: int
    """Counts rotations: an odd one uses slot A, an even one slot B."""
    data: Volume
    deadline_seconds: int
    published: PublishedPort | None


def slot_generations(generation: int) -> dict[str, int]:
    """Return how often each slot's password has been renewed: a step of the generation renews the idle slot's."""
    return {"a": (generation + 1) // 2, "b": generation // 2}


def tuning(memory_mb: int, max_connections: int) -> tuple[str, ...]:
    """Return parameters that fit the memory limit: a quarter shared, the rest for connections and page cache."""
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

    def __init__(self, name: str, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:data:Postgres", name, None, opts)
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
                service=catalogue.POSTGRES.name,
                image=args.image,
                user=catalogue.POSTGRES.user,
                limits=args.limits,
                rollout=Rollout.STOP_FIRST,
                command=tuning(args.limits.memory_mb, args.max_connections),
                health=HealthCheck(command=("postgres-healthy",), interval_seconds=2, start_period_seconds=60),
                mounts=(Mount(volume=args.data, path=DATA), Mount(volume=socket, path=SOCKET)),
                tmpfs=(Tmpfs(path="/tmp", size_mb=64), Tmpfs(path="/run/tls", size_mb=1)),  # noqa: S108
                networks=(Attachment(network=args.network, aliases=("postgres",)),),
                ports=(args.published,) if args.published else (),
                # Fast shutdown: open transactions are rolled back, and the next start needs no recovery.
                stop_signal="SIGINT",
                drain_seconds=60,
                deadline_seconds=args.deadline_seconds,
                # Parallel vector queries exchange tuples through shared memory.
                shared_memory_mb=128,
            ),
            parent=self,
        )
        secrets = args.runtime.files(
            f"{name}-roles-secrets",
            FileBundle(
                service=ROLES,
                owner=catalogue.POSTGRES.user,
                path="/run/secrets",
                files={
                    f"LETTA_{slot.upper()}_PASSWORD": pulumi.Output.secret(password.result)
                    for slot, password in passwords.items()
                },
            ),
            parent=self,
        )
        roles = args.runtime.run(
            f"{name}-roles",
            ServiceSpec(
                service=ROLES,
                image=args.image,
                user=catalogue.POSTGRES.user,
                limits=Limits(memory_mb=64),
                rollout=Rollout.JOB,
                command=("postgres-roles",),
                environment={"DATABASE": DATABASE},
                files=(secrets,),
                mounts=(Mount(volume=socket, path=SOCKET),),
                tmpfs=(Tmpfs(path="/tmp", size_mb=16),),  # noqa: S108
                deadline_seconds=60,
            ),
            parent=self,
            depends_on=[server.resource],
            # A new data volume has no roles.
            replace_with=[args.data.resource],
        )
        slot = "a" if args.credential_generation % 2 else "b"
        secret: pulumi.Output[str] = pulumi.Output.secret(passwords[slot].result)
        self.uri = pulumi.Output.concat("postgresql://letta_", slot, ":", secret, f"@postgres:{PORT}/{DATABASE}")
        self.ready = roles.resource
        self.register_outputs({})
