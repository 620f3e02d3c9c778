"""The OpenTelemetry collector: takes what servers (and clients on the host) send, and delivers it.

Owns the containers, their configuration, the volumes for queues and files, and the JOBs around them: one judges
the configuration before any collector is replaced, one watches the first collector before the second is replaced.
What the configuration says is made in `otel`, which knows no Pulumi.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

import otel
from components import ca_bundle
from runtime import (
    Attachment,
    FileBundle,
    HealthCheck,
    Mount,
    PublishedPort,
    Rollout,
    RunningService,
    Runtime,
    ServiceSpec,
)

USER = 10005
ALIAS = "collector"
"""The name by which servers find collectors."""
CONFIG = "/etc/otelcol"
FILE = f"{CONFIG}/config.yaml"
_JOB_MEMORY_MB = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectorArgs:
    """Where telemetry goes and who may send it."""

    runtime: Runtime
    image: pulumi.Input[str]
    networks: tuple[pulumi.Input[str], ...]
    """The first one is where servers are, and nothing else."""
    memory_mb: int
    cpus: float | None
    replicas: int
    """One for a profile that writes files (`settings.telemetry.collector_replicas`)."""
    soak_seconds: int
    """How long a collector is watched before the next one is replaced; 0 for not at all."""
    profile: otel.Profile
    version: str
    configuration: Callable[[tuple[str, ...]], pulumi.Input[Mapping[str, Any]]]
    """Gives the configuration (`otel.compose`) of a collector that reads the logs in these folders."""
    secrets: Mapping[str, pulumi.Input[str]]
    """By the names that `otel.secret_names` gives: what the collector is to read there."""
    ca_bundle: str | None
    """Certificates in PEM form that destinations are trusted by, beside the image's."""
    receiver_security: otel.ReceiverSecurity
    certificates_volume: pulumi.Input[str] | None
    """With `receiver_security.tls`."""
    log_folders: tuple[str, ...]
    """One for each server replica; each is read by exactly one collector."""
    logs_volume: str | None
    ports: tuple[PublishedPort, ...]
    """Published by the first collector."""
    files_volume: str
    """Name of the volume that holds what the file exporters write."""
    protect_data: bool
    after: Sequence[pulumi.Resource]
    deadline_seconds: int


class Collector(pulumi.ComponentResource):
    """Collectors whose pipelines run; `endpoint` is where servers send to, whichever of them serve."""

    endpoint: str
    files_volume: str | None
    """None where the profile writes no files."""

    def __init__(self, name: str, args: CollectorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:telemetry:Collector", name, None, opts)
        self._args = args
        self.files_volume = args.files_volume if args.profile.uses("file/traces") else None
        replicas = args.replicas
        after: list[pulumi.Resource] = list(args.after)
        if self.files_volume:
            after.append(args.runtime.data_volume(self.files_volume, protect=args.protect_data, parent=self))
        for index in range(replicas):
            replica = f"{name}-{index}" if index else name
            folders = args.log_folders[index::replicas]
            running = self._replica(replica, folders, publishes=index == 0, after=after)
            after = [running.resource]
            if index + 1 < replicas and args.soak_seconds:
                after.append(self._soak(replica, running))
        scheme = "https" if args.receiver_security.tls else "http"
        self.endpoint = f"{scheme}://{ALIAS}:{otel.CONTAINER.grpc_port}"
        self.register_outputs({})

    def _replica(
        self, name: str, log_folders: tuple[str, ...], *, publishes: bool, after: Sequence[pulumi.Resource]
    ) -> RunningService:
        args = self._args
        text = pulumi.Output.from_input(args.configuration(log_folders)).apply(otel.render)
        certificates = (
            [Mount(source=args.certificates_volume, path=otel.CONTAINER.certificates_directory, read_only=True)]
            if args.certificates_volume is not None
            else []
        )
        validation = self._job(
            f"{name}-validation",
            service="collector-validation",
            command=(
                "/otelcol",
                "validate",
                "--config",
                FILE,
                *otel.CollectorVersion.parse(args.version).arguments,
            ),
            bundles=(
                FileBundle(name="config", path=CONFIG, files={"config.yaml": text}),
                *self._secret_files(),
                *ca_bundle.bundles(args.ca_bundle),
            ),
        )
        mounts = [*validation.files, *certificates]
        needed = [*after, validation.resource]
        if args.profile.keeps_queues:
            queue = f"{name}-queue"
            needed.append(args.runtime.data_volume(queue, protect=args.protect_data, parent=self))
            mounts.append(Mount(source=queue, path=otel.CONTAINER.queue_directory))
        if self.files_volume:
            mounts.append(Mount(source=self.files_volume, path=otel.CONTAINER.data_directory))
        if args.logs_volume:
            mounts.append(Mount(source=args.logs_volume, path=otel.CONTAINER.log_directory, read_only=True))
        return args.runtime.run(
            name,
            ServiceSpec(
                service="collector",
                image=args.image,
                user=USER,
                memory_mb=args.memory_mb,
                cpus=args.cpus,
                # It owns the volumes with its queues and files.
                rollout=Rollout.STOP_FIRST,
                command=("--config", FILE, *otel.CollectorVersion.parse(args.version).arguments),
                # Go returns memory before the limit is hit instead of being killed at it.
                environment={
                    "GOMEMLIMIT": otel.go_memory_limit(args.memory_mb),
                    **ca_bundle.trusted_by_go(args.ca_bundle),
                },
                mounts=tuple(mounts),
                networks=tuple(Attachment(network=network, aliases=(ALIAS,)) for network in args.networks),
                ports=args.ports if publishes else (),
                health=HealthCheck(command=("healthprobe",)),
                # What is on its way has a timeout of 10 s; what waits stays in the queue.
                drain_seconds=30,
                deadline_seconds=args.deadline_seconds,
            ),
            parent=self,
            depends_on=needed,
        )

    def _secret_files(self) -> tuple[FileBundle, ...]:
        names = otel.secret_names(self._args.profile, token=self._args.receiver_security.token)
        if not names:
            return ()
        files = {
            name: pulumi.Output.secret(self._args.secrets[name]).apply(
                lambda value: otel.secret_file(value, version=self._args.version)
            )
            for name in names
        }
        return (FileBundle(name="secrets", path=otel.CONTAINER.secrets_directory, files=files),)

    def _soak(self, replica: str, running: RunningService) -> pulumi.Resource:
        address = pulumi.Output.concat("http://", running.name, f":{otel.CONTAINER.metrics_port}/metrics")
        job = self._job(
            f"{replica}-watch",
            service="collector-watch",
            command=("soak", str(self._args.soak_seconds), address),
            networks=(Attachment(network=self._args.networks[0]),),
            # It ends some time after the watch: what came in last may wait for its batch.
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
        bundles: tuple[FileBundle, ...] = (),
        networks: tuple[Attachment, ...] = (),
        deadline_seconds: int | None = None,
        depends_on: Sequence[pulumi.Resource] = (),
        replace_with: Sequence[pulumi.Resource] = (),
    ) -> RunningService:
        return self._args.runtime.run(
            name,
            ServiceSpec(
                service=service,
                image=self._args.image,
                user=USER,
                memory_mb=_JOB_MEMORY_MB,
                rollout=Rollout.JOB,
                command=command,
                bundles=bundles,
                networks=networks,
                deadline_seconds=deadline_seconds or self._args.deadline_seconds,
            ),
            parent=self,
            depends_on=depends_on,
            replace_with=replace_with,
        )
