"""The database schema, brought to the server's version once, before any server of that version uses it.

Upstream migrates in every server without a lock, and two at a time break each other; here it is one job. It also
refuses data that was encrypted with another key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

import catalogue
from runtime import (
    Attachment,
    ConcurrentJob,
    FileBundle,
    Limits,
    Rollout,
    Runtime,
    ServiceSpec,
    Tmpfs,
    Volume,
)

SERVICE = "migration"


@dataclass(frozen=True, kw_only=True, slots=True)
class MigrationArgs:
    """Which schema goes to which database."""

    runtime: Runtime
    image: pulumi.Input[str]
    network: pulumi.Input[str]
    database_uri: pulumi.Input[str]
    encryption_key: pulumi.Input[str]
    """Some revisions encrypt columns that were plain before."""
    data: Volume
    """The database's data: a new volume has no schema."""
    after: Sequence[pulumi.Resource]
    deadline_seconds: int


class Migration(pulumi.ComponentResource):
    """The database has the image's schema once `ready` exists.

    `startup_gate` is for servers that start at the same time and wait for the schema by themselves.
    """

    ready: pulumi.Resource
    startup_gate: ConcurrentJob

    def __init__(self, name: str, args: MigrationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:app:Migration", name, None, opts)
        secrets = args.runtime.files(
            f"{name}-secrets",
            FileBundle(
                service=SERVICE,
                owner=catalogue.LETTA.user,
                path="/run/secrets",
                files={"LETTA_PG_URI": args.database_uri, "LETTA_ENCRYPTION_KEY": args.encryption_key},
            ),
            parent=self,
        )
        job = args.runtime.run(
            name,
            ServiceSpec(
                service=SERVICE,
                image=args.image,
                user=catalogue.LETTA.user,
                limits=Limits(memory_mb=512),
                rollout=Rollout.JOB,
                command=("letta-entrypoint", "migrate"),
                files=(secrets,),
                tmpfs=(Tmpfs(path="/var/lib/letta", size_mb=64), Tmpfs(path="/tmp", size_mb=64)),  # noqa: S108
                networks=(Attachment(network=args.network),),
                deadline_seconds=args.deadline_seconds,
            ),
            parent=self,
            depends_on=args.after,
            replace_with=[args.data.resource],
        )
        self.ready = job.resource
        self.startup_gate = ConcurrentJob(job=SERVICE, deadline_seconds=args.deadline_seconds)
        self.register_outputs({})
