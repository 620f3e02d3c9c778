"""The Letta server: API, agents, tool sandbox. It keeps nothing: its data is in Postgres.

Secure mode, connection pooling and the deep health check are not optional: without a password anybody who reaches
the port runs code, without pooling a message turn takes four times as long, and upstream's health endpoints answer
200 with the database down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components import ca_bundle
from runtime import Attachment, ConcurrentJob, FileBundle, HealthCheck, Mount, Rollout, Runtime, ServiceSpec, Tmpfs

USER = 10001
PORT = 8283
HOME = "/var/lib/letta"
LOGS = "/var/log/letta"
SOURCE = "/source"


@dataclass(frozen=True, kw_only=True, slots=True)
class LettaServerArgs:
    """What a server needs to know."""

    runtime: Runtime
    image: pulumi.Input[str]
    networks: tuple[pulumi.Input[str], ...]
    memory_mb: int
    cpus: float | None
    replicas: int
    pool_size: int
    pool_max_overflow: int
    database_uri: pulumi.Input[str]
    server_password: pulumi.Input[str]
    encryption_key: pulumi.Input[str]
    deployment_environment: str
    debug: bool
    environment: Mapping[str, str] = field(default_factory=dict)
    """Providers' addresses and whatever else the user sets in clear."""
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Providers' keys and whatever else the user sets as a secret; environment variables for Letta."""
    telemetry_endpoint: str
    telemetry_certificates: tuple[Mount, str] | None
    """Where certificates are, and the authority's file among them; with an endpoint of `https`."""
    ca_bundle: str | None
    """Certificates in PEM form that the server's own clients trust beside the image's."""
    logs_volume: pulumi.Input[str] | None
    """Where log files are kept for the collector, a folder for each replica; none keeps them in memory."""
    source_directory: str | None
    """A checkout of the server whose code runs instead of the image's, reloaded when it changes."""
    migration: ConcurrentJob
    """The JOB that brings the database to the image's schema; the image's server waits for it by itself."""
    schema: pulumi.Resource
    """What is there once it has; what a source of the user's needs first."""
    after: Sequence[pulumi.Resource]
    deadline_seconds: int


class LettaServer(pulumi.ComponentResource):
    """Healthy servers; `addresses` is where the edge finds them on the `app` network."""

    addresses: list[pulumi.Output[str]]
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: LettaServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:app:LettaServer", name, None, opts)
        self.addresses = []
        self.ready = []
        after: list[pulumi.Resource] = [*args.after, *([args.schema] if args.source_directory else [])]
        for index in range(args.replicas):
            replica = replica_name(name, index)
            server = args.runtime.run(replica, self._spec(replica, args), parent=self, depends_on=after)
            # One after another: a bad version must not take the second replica too.
            after = [server.resource]
            self.addresses.append(pulumi.Output.concat(server.name, f":{PORT}"))
            self.ready.append(server.resource)
        self.register_outputs({})

    @staticmethod
    def _spec(replica: str, args: LettaServerArgs) -> ServiceSpec:
        logs = (Mount(source=args.logs_volume, path=LOGS),) if args.logs_volume is not None else ()
        certificates = (args.telemetry_certificates[0],) if args.telemetry_certificates else ()
        source = (
            (Mount(source=args.source_directory, path=SOURCE, read_only=True, host_folder=True),)
            if args.source_directory
            else ()
        )
        return ServiceSpec(
            service="letta",
            image=args.image,
            user=USER,
            memory_mb=args.memory_mb,
            cpus=args.cpus,
            rollout=Rollout.ROLLING,
            command=("server",),
            environment=_environment(replica, args),
            bundles=(
                FileBundle(
                    name="secrets",
                    path="/run/secrets",
                    files={
                        **args.secrets,
                        "LETTA_PG_URI": args.database_uri,
                        "LETTA_ENCRYPTION_KEY": args.encryption_key,
                        "LETTA_SERVER_PASSWORD": args.server_password,
                    },
                ),
                *ca_bundle.bundles(args.ca_bundle),
            ),
            mounts=(*source, *logs, *certificates),
            tmpfs=(Tmpfs(path="/tmp", size_mb=256), Tmpfs(path=HOME, size_mb=256, executable=True)),  # noqa: S108
            networks=tuple(Attachment(network=network) for network in args.networks),
            health=HealthCheck(
                command=("letta-healthy",),
                # Short, because the engine before version 25 uses it while starting too.
                interval_seconds=2,
                timeout_seconds=5,
                retries=5,
                start_period_seconds=args.deadline_seconds + args.migration.deadline_seconds,
            ),
            # SIGINT lets uvicorn drain and Python run its exit handlers, which send the last spans.
            stop_signal="SIGINT",
            drain_seconds=60,
            deadline_seconds=args.deadline_seconds,
            startup_gate=None if args.source_directory else args.migration,
        )


def replica_name(name: str, index: int) -> str:
    """Give the name of a replica, which is also that of its folder of logs."""
    return f"{name}-{index}" if index else name


def _environment(replica: str, args: LettaServerArgs) -> dict[str, str]:
    return {
        **args.environment,
        **({"LETTA_AUTHORITIES": ca_bundle.FILE} if args.ca_bundle else {}),
        **({"LETTA_SOURCE": SOURCE} if args.source_directory else {}),
        **(
            {"OTEL_EXPORTER_OTLP_CERTIFICATE": args.telemetry_certificates[1]}
            if args.telemetry_certificates
            else {}
        ),
        **({"LETTA_LOG_FOLDER": f"{LOGS}/{replica}"} if args.logs_volume is not None else {}),
        **({"LETTA_DEBUG": "true"} if args.debug else {}),
        "LETTA_DISABLE_SQLALCHEMY_POOLING": "false",
        "LETTA_ENVIRONMENT": args.deployment_environment,
        "LETTA_LOGGING_JSON_LOGGING": "true",
        "LETTA_OTEL_EXPORTER_OTLP_ENDPOINT": args.telemetry_endpoint,
        "LETTA_PG_MAX_OVERFLOW": str(args.pool_max_overflow),
        "LETTA_PG_POOL_SIZE": str(args.pool_size),
        "LETTA_REDIS_HOST": "redis",
        "LETTA_REDIS_PORT": "6379",
        "LETTA_SERVER_SECURE": "true",
        # nginx is the only one that reaches the port.
        "FORWARDED_ALLOW_IPS": "*",
    }
