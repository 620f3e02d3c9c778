"""The database schema, brought to the server's version once, before any server of that version uses it.

Upstream migrates in every server without a lock, and two at a time break each other; here it is one JOB. It also
refuses to go on with data that was encrypted under another key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.letta_server import USER
from runtime import Attachment, ConcurrentJob, FileBundle, Rollout, Runtime, ServiceSpec, Tmpfs

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
    data: pulumi.Resource
    """The volume the database lies in: a new one has no schema."""
    after: Sequence[pulumi.Resource]
    deadline_seconds: int


class Migration(pulumi.ComponentResource):
    """The schema is there once `ready` exists; `startup_gate` is for servers that wait for it by themselves."""

    ready: pulumi.Resource
    startup_gate: ConcurrentJob

    def __init__(self, name: str, args: MigrationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:app:Migration", name, None, opts)
        job = args.runtime.run(
            name,
            ServiceSpec(
                service=SERVICE,
                image=args.image,
                user=USER,
                memory_mb=512,
                rollout=Rollout.JOB,
                command=("letta-entrypoint", "migrate"),
                bundles=(
                    FileBundle(
                        name="secrets",
                        path="/run/secrets",
                        files={
                            "LETTA_PG_URI": args.database_uri,
                            "LETTA_ENCRYPTION_KEY": args.encryption_key,
                        },
                    ),
                ),
                tmpfs=(Tmpfs(path="/var/lib/letta", size_mb=64), Tmpfs(path="/tmp", size_mb=64)),  # noqa: S108
                networks=(Attachment(network=args.network),),
                deadline_seconds=args.deadline_seconds,
            ),
            parent=self,
            depends_on=args.after,
            replace_with=[args.data],
        )
        self.ready = job.resource
        self.startup_gate = ConcurrentJob(job=SERVICE, deadline_seconds=args.deadline_seconds)
        self.register_outputs({})
