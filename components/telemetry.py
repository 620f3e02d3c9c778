"""Telemetry of one stack: the collectors, the tables that they insert into, the log files that they read.

Owns what belongs to no single one of them: the token of clients outside, and what the stack's outputs say about
telemetry.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pulumi
import pulumi_random as random

import catalogue
import otel
import otel.clickhouse
from components.collector import ALIAS, Collector, CollectorArgs, HostPorts
from components.data_volumes import DataVolumes
from components.letta_server import ServerTelemetry
from components.network import Network
from components.otlp_certificates import OtlpCertificates, OtlpCertificatesArgs
from components.telemetry_schema import TelemetrySchema, TelemetrySchemaArgs
from runtime import Limits, Runtime, Volume


@dataclass(frozen=True, kw_only=True, slots=True)
class TelemetryArgs:
    """Where telemetry comes from, where it goes, and how much of it there is."""

    runtime: Runtime
    image: pulumi.Input[str]
    network: Network
    volumes: DataVolumes
    stack: str
    """Prefix of the collectors' names."""
    stack_id: pulumi.Output[str]
    """Stays the same as long as the stack exists; an attribute of every signal."""
    environment: str
    """Name of the environment, an attribute of every signal."""
    log_level: str
    servers: tuple[str, ...]
    """Names of the server's replicas, which are those of their log folders."""
    choice: otel.Choice
    destinations: otel.Destinations
    secrets: Mapping[str, str]
    """Those that are set, by `otel`'s names for them."""
    ca_bundle: str | None
    """Certificates in PEM form that are trusted for destinations, in addition to the images'."""
    redaction: otel.Redaction
    retention_days: int
    queue_budget: otel.QueueBudget
    receiver_security: otel.ReceiverSecurity
    version: otel.CollectorVersion
    limits: Limits
    replicas: int
    soak_seconds: int
    ports: HostPorts
    host_name: str | None
    """Name of the machine, for clients outside that verify the certificate."""
    today: date
    """Decides when certificates are renewed."""
    deadline_seconds: int


class Telemetry(pulumi.ComponentResource):
    """Collectors, and `server`: what a server needs in order to use them. No server waits for a collector."""

    server: ServerTelemetry
    outputs: dict[str, pulumi.Input[object]]

    def __init__(self, name: str, args: TelemetryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:telemetry:Telemetry", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._profile = args.choice.profile
        self._clickhouse = args.destinations.clickhouse if self._profile.uses("clickhouse") else None
        self._secrets = self._all_secrets()
        logs = args.volumes.volume(catalogue.LOGS) if self._profile.uses("filelog/letta") else None
        certificates = self._certificates() if args.receiver_security.tls else None
        after = self._schema(self._clickhouse) if self._clickhouse else []
        # It was once a child of the platform; without an alias its containers would be replaced.
        alias = pulumi.Alias(parent=opts.parent if opts else None)
        collector = Collector(
            f"{args.stack}-collector",
            self._collector_args(logs, certificates, after),
            opts=pulumi.ResourceOptions(parent=self, aliases=[alias]),
        )
        self.server = self._for_server(collector.endpoint, logs, certificates)
        self.outputs = self._outputs(collector, certificates)
        self.register_outputs({})

    def _all_secrets(self) -> dict[str, pulumi.Output[str]]:
        """Return the secrets that are set, and a generated token where clients must show one and none is set."""
        secrets = {name: pulumi.Output.secret(value) for name, value in self._args.secrets.items()}
        if self._args.receiver_security.token and otel.OTLP_TOKEN not in secrets:
            token = random.RandomPassword(f"{self._name}-otlp-token", length=40, special=False, opts=self._child)
            secrets[otel.OTLP_TOKEN] = pulumi.Output.secret(token.result)
        return secrets

    def _certificates(self) -> Volume:
        args = self._args
        address = ipaddress.IPv4Address(args.ports.address)
        local = address.is_unspecified or str(address) == "127.0.0.1"
        outside = [name for name in ("" if local else str(address), args.host_name) if name]
        certificates = OtlpCertificates(
            f"{self._name}-certificates",
            OtlpCertificatesArgs(
                runtime=args.runtime,
                image=args.image,
                names=(ALIAS, "localhost", "127.0.0.1", *outside),
                today=args.today,
            ),
            opts=self._child,
        )
        return certificates.volume

    def _schema(self, target: otel.ClickHouse) -> list[pulumi.Resource]:
        """Create the tables; return what collectors must wait for.

        Only versions that would create tables themselves wait. Others start without them and queue what they
        receive until ClickHouse is available.
        """
        args = self._args
        schema = TelemetrySchema(
            f"{self._name}-schema",
            TelemetrySchemaArgs(
                runtime=args.runtime,
                image=args.image,
                network=args.network.tier("egress-collector"),
                target=target,
                password=self._secrets[otel.CLICKHOUSE_PASSWORD],
                ca_bundle=args.ca_bundle,
                retention_days=args.retention_days,
            ),
            opts=self._child,
        )
        return [] if args.version.has(otel.Feature.CLICKHOUSE_SCHEMA_SWITCH) else [schema.ready]

    def _collector_args(
        self, logs: Volume | None, certificates: Volume | None, after: list[pulumi.Resource]
    ) -> CollectorArgs:
        args = self._args
        return CollectorArgs(
            runtime=args.runtime,
            image=args.image,
            networks=(args.network.tier("telemetry"), args.network.tier("egress-collector")),
            limits=args.limits,
            replicas=args.replicas,
            soak_seconds=args.soak_seconds,
            profile=self._profile,
            version=args.version,
            configuration=self._configuration,
            secrets=self._secrets,
            ca_bundle=args.ca_bundle,
            reaches_machine=any(
                target is not None and catalogue.MACHINE in target.address
                for target in (args.destinations.clickhouse, args.destinations.signoz)
            ),
            receiver_security=args.receiver_security,
            certificates=certificates,
            # Each container of a replica has a folder of its own, in which the server creates `logs`.
            log_folders=tuple(f"{server}/*/logs" for server in args.servers),
            logs_volume=logs,
            ports=args.ports,
            files_volume=args.volumes.volume(catalogue.TRACES),
            queue_volumes=tuple(args.volumes.volume(name) for name in catalogue.QUEUES),
            after=after,
            deadline_seconds=args.deadline_seconds,
        )

    def _configuration(self, log_folders: tuple[str, ...]) -> pulumi.Output[Mapping[str, Any]]:
        args = self._args
        return args.stack_id.apply(
            lambda known: otel.compose(
                self._profile,
                version=str(args.version),
                level=args.log_level,
                memory_mib=args.limits.memory_mb,
                destinations=args.destinations,
                environment=args.environment,
                device_id=known,
                redaction=args.redaction,
                queue_budget=args.queue_budget,
                log_directories=log_folders,
                receiver_security=args.receiver_security,
            )
        )

    def _for_server(self, endpoint: str, logs: Volume | None, certificates: Volume | None) -> ServerTelemetry:
        if self._clickhouse is None:
            return ServerTelemetry(endpoint=endpoint, certificates=certificates, logs_volume=logs)
        return ServerTelemetry(
            endpoint=endpoint,
            certificates=certificates,
            logs_volume=logs,
            environment={
                "CLICKHOUSE_ENDPOINT": self._clickhouse.address,
                "CLICKHOUSE_USERNAME": self._clickhouse.username,
                "CLICKHOUSE_DATABASE": self._clickhouse.database,
            },
            secrets={"CLICKHOUSE_PASSWORD": self._secrets[otel.CLICKHOUSE_PASSWORD]},
            ca_bundle=self._args.ca_bundle,
        )

    def _outputs(self, collector: Collector, certificates: Volume | None) -> dict[str, pulumi.Input[object]]:
        """Return what was chosen and why, what it cannot do, and where to find what it writes."""
        version = str(self._args.version)
        outputs: dict[str, pulumi.Input[object]] = {
            "telemetryProfile": self._profile.name,
            "telemetryReason": self._args.choice.reason,
            "telemetryLimitations": list(otel.limitations(self._profile, version=version)),
        }
        vulnerabilities = otel.VULNERABILITIES[version]
        if vulnerabilities:
            outputs["collectorVulnerabilities"] = list(vulnerabilities)
            known = "; ".join(vulnerabilities)
            pulumi.warn(f"letta:collectorVersion {version} has known vulnerabilities: {known}", self)
        if self._args.receiver_security.token:
            outputs["otlpToken"] = self._secrets[otel.OTLP_TOKEN]
        if certificates:
            outputs["otlpCertificatesVolume"] = certificates.name
        if self._clickhouse:
            outputs["telemetrySchemaVersion"] = otel.clickhouse.SCHEMA_VERSION
        if collector.files_volume:
            outputs["tracesVolume"] = collector.files_volume
            outputs["tracesFile"] = otel.TRACES_FILE
        return outputs
