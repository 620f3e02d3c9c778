"""The Letta server: API, agents, tool sandbox. It stores nothing itself: its data is in Postgres.

Secure mode, connection pooling and the deep health check are not optional: without a password everyone who
reaches the port can run code, without pooling a message turn takes four times as long, and upstream's health
endpoints answer 200 with the database down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

import catalogue
from components import ca_bundle, otlp_certificates, redis
from runtime import (
    Attachment,
    ConcurrentJob,
    FileBundle,
    Files,
    HealthCheck,
    HostFolder,
    Limits,
    Mount,
    Rollout,
    Runtime,
    ServiceSpec,
    Tmpfs,
    Volume,
)

PORT = 8283
HOME = "/var/lib/letta"
LOGS = "/var/log/letta"
SOURCE = "/source"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerTelemetry:
    """What a server needs in order to send telemetry, and to read traces back (`GET /v1/runs/{id}/trace`)."""

    endpoint: str
    """OTLP over gRPC."""
    certificates: Volume | None
    """With an endpoint of `https`: holds the CA certificate to trust, at `otlp_certificates.AUTHORITY`."""
    logs_volume: Volume | None
    """For log files that collectors read, in a folder for each replica; None keeps log files in memory."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Where traces are read back from."""
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Credentials for that, by environment variable."""
    ca_bundle: str | None = None
    """Certificates in PEM form that are trusted for that, in addition to the image's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LettaServerArgs:
    """What a server needs to know."""

    runtime: Runtime
    image: pulumi.Input[str]
    networks: tuple[pulumi.Input[str], ...]
    limits: Limits
    replicas: int
    pool_size: int
    pool_max_overflow: int
    database_uri: pulumi.Input[str]
    server_password: pulumi.Input[str]
    encryption_key: pulumi.Input[str]
    deployment_environment: str
    debug: bool
    environment: Mapping[str, str]
    """Addresses of model providers, and what else the user sets in clear."""
    secrets: Mapping[str, pulumi.Input[str]]
    """Keys of model providers, and what else the user sets as a secret; by environment variable."""
    telemetry: ServerTelemetry
    source_directory: str | None
    """A checkout of the server whose code runs instead of the image's and is reloaded when it changes."""
    migration: ConcurrentJob
    """The job that migrates the database to the image's schema; the image's server waits for it by itself."""
    schema: pulumi.Resource
    """Exists once the migration has succeeded; servers that run a source checkout depend on it."""
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
        for replica in replica_names(name, args.replicas):
            spec = _spec(replica, args, self._files(replica, args))
            server = args.runtime.run(replica, spec, parent=self, depends_on=after)
            # One after another: a bad version must not take the second replica, too.
            after = [server.resource]
            self.addresses.append(pulumi.Output.concat(server.name, f":{PORT}"))
            self.ready.append(server.resource)
        self.register_outputs({})

    def _files(self, replica: str, args: LettaServerArgs) -> tuple[Files, ...]:
        service, user = catalogue.LETTA.name, catalogue.LETTA.user
        secrets = FileBundle(
            service=service,
            owner=user,
            path="/run/secrets",
            files={
                **args.secrets,
                **args.telemetry.secrets,
                "LETTA_PG_URI": args.database_uri,
                "LETTA_ENCRYPTION_KEY": args.encryption_key,
                "LETTA_SERVER_PASSWORD": args.server_password,
            },
        )
        ca_files = ca_bundle.files(
            args.runtime, replica, args.telemetry.ca_bundle, service=service, user=user, parent=self
        )
        return (args.runtime.files(f"{replica}-secrets", secrets, parent=self), *ca_files)


def replica_names(name: str, replicas: int) -> tuple[str, ...]:
    """Return the names of the replicas of the server called `name`; a replica's log folder is called like it."""
    return (name, *(f"{name}-{index}" for index in range(1, replicas)))


def _spec(replica: str, args: LettaServerArgs, files: tuple[Files, ...]) -> ServiceSpec:
    environment = _environment(replica, args)
    return ServiceSpec(
        service=catalogue.LETTA.name,
        image=args.image,
        user=catalogue.LETTA.user,
        limits=args.limits,
        rollout=Rollout.ROLLING,
        command=("server",),
        environment=environment,
        files=files,
        mounts=_mounts(args),
        tmpfs=(Tmpfs(path="/tmp", size_mb=256), Tmpfs(path=HOME, size_mb=256, executable=True)),  # noqa: S108
        networks=tuple(Attachment(network=network) for network in args.networks),
        # Only then: the name changes the container, and stacks that do not use it keep theirs.
        reaches_machine=any(catalogue.MACHINE in value for value in environment.values()),
        health=HealthCheck(
            command=("letta-healthy",),
            # Short, because Docker before version 25 uses it while starting, too.
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


def _mounts(args: LettaServerArgs) -> tuple[Mount | HostFolder, ...]:
    mounts: list[Mount | HostFolder] = []
    if args.source_directory:
        mounts.append(HostFolder(source=args.source_directory, path=SOURCE))
    if args.telemetry.logs_volume:
        mounts.append(Mount(volume=args.telemetry.logs_volume, path=LOGS))
    if args.telemetry.certificates:
        mounts.append(Mount(volume=args.telemetry.certificates, path=otlp_certificates.FOLDER, read_only=True))
    return tuple(mounts)


def _environment(replica: str, args: LettaServerArgs) -> dict[str, str]:
    telemetry = args.telemetry
    return {
        **args.environment,
        **telemetry.environment,
        **({"LETTA_AUTHORITIES": ca_bundle.FILE} if telemetry.ca_bundle else {}),
        **({"LETTA_SOURCE": SOURCE} if args.source_directory else {}),
        **({"OTEL_EXPORTER_OTLP_CERTIFICATE": otlp_certificates.AUTHORITY} if telemetry.certificates else {}),
        **({"LETTA_LOG_FOLDER": f"{LOGS}/{replica}"} if telemetry.logs_volume else {}),
        **({"LETTA_DEBUG": "true"} if args.debug else {}),
        "LETTA_DISABLE_SQLALCHEMY_POOLING": "false",
        "LETTA_ENVIRONMENT": args.deployment_environment,
        "LETTA_LOGGING_JSON_LOGGING": "true",
        "LETTA_OTEL_EXPORTER_OTLP_ENDPOINT": telemetry.endpoint,
        "LETTA_PG_MAX_OVERFLOW": str(args.pool_max_overflow),
        "LETTA_PG_POOL_SIZE": str(args.pool_size),
        "LETTA_REDIS_HOST": "redis",
        "LETTA_REDIS_PORT": str(redis.PORT),
        "LETTA_SERVER_SECURE": "true",
        # Only nginx reaches the port.
        "FORWARDED_ALLOW_IPS": "*",
    }
