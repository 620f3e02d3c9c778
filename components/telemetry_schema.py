"""The tables in ClickHouse that collectors insert into, created by a job of their own.

Exporters that create them race each other, set a retention that cannot be changed later, and do not start while
ClickHouse is down.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi

import catalogue
import otel
import otel.clickhouse
from components import ca_bundle
from runtime import Attachment, FileBundle, Limits, Rollout, Runtime, ServiceSpec

SERVICE = "telemetry-schema"
FOLDER = "/run/schema"
PATIENCE_SECONDS = 45
"""How long the job waits for a ClickHouse that does not answer; the next update tries again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TelemetrySchemaArgs:
    """Which tables go where."""

    runtime: Runtime
    image: pulumi.Input[str]
    """The collector's: it holds the program that creates the tables."""
    network: pulumi.Input[str]
    """The one from which ClickHouse is reached."""
    target: otel.ClickHouse
    password: pulumi.Input[str]
    ca_bundle: str | None
    """Certificates in PEM form that are trusted for ClickHouse, in addition to the image's."""
    retention_days: int


class TelemetrySchema(pulumi.ComponentResource):
    """The tables exist, with their retention, once `ready` does."""

    ready: pulumi.Resource

    def __init__(self, name: str, args: TelemetrySchemaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:telemetry:Schema", name, None, opts)
        statements = otel.clickhouse.statements(args.target, retention_days=args.retention_days)
        user = catalogue.COLLECTOR.user
        files = args.runtime.files(
            f"{name}-files",
            FileBundle(
                service=SERVICE,
                owner=user,
                path=FOLDER,
                files={"statements.json": json.dumps(statements), "password": args.password},
            ),
            parent=self,
        )
        ca_files = ca_bundle.files(args.runtime, name, args.ca_bundle, service=SERVICE, user=user, parent=self)
        job = args.runtime.run(
            name,
            ServiceSpec(
                service=SERVICE,
                image=args.image,
                user=user,
                limits=Limits(memory_mb=64),
                rollout=Rollout.JOB,
                command=("create-schema",),
                environment={
                    "CLICKHOUSE_ENDPOINT": args.target.address,
                    "CLICKHOUSE_USERNAME": args.target.username,
                    "PATIENCE_SECONDS": str(PATIENCE_SECONDS),
                    **ca_bundle.trusted_by_go(args.ca_bundle),
                },
                files=(files, *ca_files),
                networks=(Attachment(network=args.network),),
                reaches_machine=catalogue.MACHINE in args.target.address,
                # The job gives up by itself, with a reason, before this: a request may take 30 s.
                deadline_seconds=PATIENCE_SECONDS + 45,
            ),
            parent=self,
        )
        self.ready = job.resource
        self.register_outputs({})
