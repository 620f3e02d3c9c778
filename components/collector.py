"""The OpenTelemetry collector: receives what servers (and clients on the host) send, and delivers it.

Owns the containers, their configuration, the volumes for queues and files, and the jobs around them: one validates
the configuration before any collector is replaced, one watches the first collector before the second is replaced.
What the configuration says is made in `otel`, which knows no Pulumi.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

import catalogue
import otel
from components import ca_bundle, otlp_certificates
from runtime import (
    Attachment,
    FileBundle,
    Files,
    HealthCheck,
    Limits,
    Mount,
    PublishedPort,
    Rollout,
    RunningService,
    Runtime,
    ServiceSpec,
    Volume,
)

VALIDATION = "collector-validation"
SOAK = "collector-watch"
ALIAS = "collector"
"""The name by which servers find collectors."""
CONFIG = "/etc/otelcol"
FILE = f"{CONFIG}/config.yaml"
_JOB_LIMITS = Limits(memory_mb=128)


@dataclass(frozen=True, kw_only=True, slots=True)
class HostPorts:
    """The address and the ports of the machine at which the first collector is reached."""

    address: str
    grpc: int
    http: int
    metrics: int
    health: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectorArgs:
    """Where telemetry goes and who may send it."""

    runtime: Runtime
    image: pulumi.Input[str]
    networks: tuple[pulumi.Input[str], ...]
    """The first one is shared with servers, and with nothing else."""
    limits: Limits
    replicas: int
    """One for a profile that writes files (`settings.telemetry.collector_replicas`)."""
    soak_seconds: int
    """How long a replaced collector is watched before the next one is replaced; 0 for not at all."""
    profile: otel.Profile
    version: otel.CollectorVersion
    configuration: Callable[[tuple[str, ...]], pulumi.Input[Mapping[str, Any]]]
    """Returns the configuration (`otel.compose`) of a collector that reads the log files in these folders."""
    secrets: Mapping[str, pulumi.Input[str]]
    """The collector's secrets, by the names that `otel.secret_names` returns."""
    ca_bundle: str | None
    """Certificates in PEM form that are trusted for destinations, in addition to the image's."""
    reaches_machine: bool
    """Whether a destination is on this machine; see `ServiceSpec.reaches_machine`."""
    receiver_security: otel.ReceiverSecurity
    certificates: Volume | None
    """With `receiver_security.tls`: see `OtlpCertificates`."""
    log_folders: tuple[str, ...]
    """One for each server replica; each is read by exactly one collector."""
    logs_volume: Volume | None
    ports: HostPorts
    files_volume: Volume
    """For what the file exporters write, if the profile has any."""
    queue_volumes: tuple[Volume, ...]
    """For queues and offsets, if the profile has any: at least one for each replica."""
    after: Sequence[pulumi.Resource]
    deadline_seconds: int


class Collector(pulumi.ComponentResource):
    """Collectors whose pipelines run; `endpoint` leads to any of those that serve."""

    endpoint: str
    files_volume: pulumi.Input[str] | None
    """Name of the volume; None where the profile writes no files."""

    def __init__(self, name: str, args: CollectorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:telemetry:Collector", name, None, opts)
        self._args = args
        self.files_volume = args.files_volume.name if args.profile.uses("file/traces") else None
        after = args.after
        for index in range(args.replicas):
            replica = f"{name}-{index}" if index else name
            folders = args.log_folders[index :: args.replicas]
            running = self._replica(
                replica, folders, queue=args.queue_volumes[index], publishes=index == 0, after=after
            )
            after = [running.resource]
            if index + 1 < args.replicas and args.soak_seconds:
                after.append(self._soak(replica, running))
        scheme = "https" if args.receiver_security.tls else "http"
        self.endpoint = f"{scheme}://{ALIAS}:{otel.CONTAINER.grpc_port}"
        self.register_outputs({})

    def _replica(
        self,
        name: str,
        log_folders: tuple[str, ...],
        *,
        queue: Volume,
        publishes: bool,
        after: Sequence[pulumi.Resource],
    ) -> RunningService:
        args = self._args
        bundles = self._files(f"{name}-validation", log_folders)
        validation = self._job(
            f"{name}-validation",
            service=VALIDATION,
            command=("/otelcol", "validate", "--config", FILE, *args.version.arguments),
            files=bundles,
            deadline_seconds=args.deadline_seconds,
        )
        return args.runtime.run(
            name,
            ServiceSpec(
                service=catalogue.COLLECTOR.name,
                image=args.image,
                user=catalogue.COLLECTOR.user,
                limits=args.limits,
                # It alone writes to the volumes with its queues and files.
                rollout=Rollout.STOP_FIRST,
                command=("--config", FILE, *args.version.arguments),
                environment={
                    # Go frees memory before the limit is hit instead of being killed at it.
                    "GOMEMLIMIT": otel.go_memory_limit(args.limits.memory_mb),
                    **ca_bundle.trusted_by_go(args.ca_bundle),
                },
                files=bundles,
                mounts=self._mounts(queue),
                networks=tuple(Attachment(network=network, aliases=(ALIAS,)) for network in args.networks),
                reaches_machine=args.reaches_machine,
                ports=self._ports() if publishes else (),
                health=HealthCheck(command=("healthprobe",)),
                # Requests under way have a timeout of 10 s; what waits stays in the queue.
                drain_seconds=30,
                deadline_seconds=args.deadline_seconds,
            ),
            parent=self,
            depends_on=[*after, validation.resource],
        )

    def _files(self, name: str, log_folders: tuple[str, ...]) -> tuple[Files, ...]:
        """Create what the validation and the collector read: configuration, secrets, CA certificates."""
        args, user = self._args, catalogue.COLLECTOR.user
        text = pulumi.Output.from_input(args.configuration(log_folders)).apply(otel.render)
        contents = {"config": FileBundle(service=VALIDATION, owner=user, path=CONFIG, files={"config.yaml": text})}
        secrets = {
            key: pulumi.Output.secret(args.secrets[key]).apply(
                lambda value: otel.secret_file(value, version=str(args.version))
            )
            for key in otel.secret_names(args.profile, token=args.receiver_security.token)
        }
        if secrets:
            contents["secrets"] = FileBundle(
                service=VALIDATION, owner=user, path=otel.CONTAINER.secrets_directory, files=secrets
            )
        created = (args.runtime.files(f"{name}-{what}", bundle, parent=self) for what, bundle in contents.items())
        ca_files = ca_bundle.files(args.runtime, name, args.ca_bundle, service=VALIDATION, user=user, parent=self)
        return (*created, *ca_files)

    def _mounts(self, queue: Volume) -> tuple[Mount, ...]:
        args, layout = self._args, otel.CONTAINER
        mounts = []
        if args.certificates:
            mounts.append(Mount(volume=args.certificates, path=otlp_certificates.FOLDER, read_only=True))
        if args.profile.keeps_queues:
            mounts.append(Mount(volume=queue, path=layout.queue_directory))
        if self.files_volume:
            mounts.append(Mount(volume=args.files_volume, path=layout.data_directory))
        if args.logs_volume:
            mounts.append(Mount(volume=args.logs_volume, path=layout.log_directory, read_only=True))
        return tuple(mounts)

    def _ports(self) -> tuple[PublishedPort, ...]:
        """Return the ports of the machine; those for OTLP lead to the receivers that require a token, if any."""
        ports, layout = self._args.ports, otel.CONTAINER
        token = self._args.receiver_security.token
        return tuple(
            PublishedPort(internal=internal, external=external, address=ports.address)
            for internal, external in (
                (layout.outside_grpc_port if token else layout.grpc_port, ports.grpc),
                (layout.outside_http_port if token else layout.http_port, ports.http),
                (layout.metrics_port, ports.metrics),
                (layout.health_port, ports.health),
            )
        )

    def _soak(self, replica: str, running: RunningService) -> pulumi.Resource:
        """Watch a replaced collector for a while; the job fails when it does not deliver."""
        address = pulumi.Output.concat("http://", running.name, f":{otel.CONTAINER.metrics_port}/metrics")
        job = self._job(
            f"{replica}-watch",
            service=SOAK,
            command=("soak", str(self._args.soak_seconds), address),
            networks=(Attachment(network=self._args.networks[0]),),
            # It ends some time after the soak: what came in last may wait for its batch.
            deadline_seconds=self._args.soak_seconds + 60,
            depends_on=[running.resource],
            replace_with=[running.resource],
        )
        return job.resource

    def _job(
        self,
        name: str,
        *,
        service: str,
        command: tuple[pulumi.Input[str], ...],
        files: tuple[Files, ...] = (),
        networks: tuple[Attachment, ...] = (),
        deadline_seconds: int,
        depends_on: Sequence[pulumi.Resource] = (),
        replace_with: Sequence[pulumi.Resource] = (),
    ) -> RunningService:
        return self._args.runtime.run(
            name,
            ServiceSpec(
                service=service,
                image=self._args.image,
                user=catalogue.COLLECTOR.user,
                limits=_JOB_LIMITS,
                rollout=Rollout.JOB,
                command=command,
                files=files,
                networks=networks,
                deadline_seconds=deadline_seconds,
            ),
            parent=self,
            depends_on=depends_on,
            replace_with=replace_with,
        )
