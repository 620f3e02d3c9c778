"""The tables in ClickHouse that collectors insert into, made by a JOB of their own.

Exporters that create them race each other, know no retention that can be changed, and do not start while
ClickHouse is down.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi

import otel
import otel.clickhouse
from components import ca_bundle
from components.collector import USER
from runtime import Attachment, FileBundle, Rollout, Runtime, ServiceSpec

FOLDER = "/run/schema"
PATIENCE_SECONDS = 45
"""How long a ClickHouse that does not answer is waited for; the next update tries again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TelemetrySchemaArgs:
    """Which tables go where."""

    runtime: Runtime
    image: pulumi.Input[str]
    """The collector's: it holds the program that speaks with ClickHouse."""
    network: pulumi.Input[str]
    """From where ClickHouse is reached."""
    target: otel.ClickHouse
    password: pulumi.Input[str]
    ca_bundle: str | None
    """Certificates in PEM form that ClickHouse is trusted by, beside the image's."""
    retention_days: int


class TelemetrySchema(pulumi.ComponentResource):
    """The tables are there, with their retention, once `ready` exists."""

    ready: pulumi.Resource

    def __init__(self, name: str, args: TelemetrySchemaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:telemetry:Schema", name, None, opts)
        statements = otel.clickhouse.statements(args.target, retention_days=args.retention_days)
        job = args.runtime.run(
            name,
            ServiceSpec(
                service="telemetry-schema",
                image=args.image,
                user=USER,
                memory_mb=64,
                rollout=Rollout.JOB,
                command=("create-schema",),
                environment={
                    "CLICKHOUSE_ENDPOINT": args.target.address,
                    "CLICKHOUSE_USERNAME": args.target.username,
                    "PATIENCE_SECONDS": str(PATIENCE_SECONDS),
                    **ca_bundle.trusted_by_go(args.ca_bundle),
                },
                bundles=(
                    FileBundle(
                        name="files",
                        path=FOLDER,
                        files={"statements.json": json.dumps(statements), "password": args.password},
                    ),
                    *ca_bundle.bundles(args.ca_bundle),
                ),
                networks=(Attachment(network=args.network),),
                # It gives up by itself, with a reason, before it is given up: a request may take 30 s.
                deadline_seconds=PATIENCE_SECONDS + 45,
            ),
            parent=self,
        )
        self.ready = job.resource
        self.register_outputs({})
