"""Telemetry of one stack: the collectors, the tables that they insert into, the log files that they read.

Owns what belongs to no single one of them: which profile is run, and what people are told of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pulumi
import pulumi_random as random

import otel
import otel.clickhouse
from components.collector import ALIAS, Collector, CollectorArgs
from components.letta_server import replica_name
from components.network import Network
from components.otlp_certificates import AUTHORITY, FOLDER, OtlpCertificates, OtlpCertificatesArgs
from components.telemetry_schema import TelemetrySchema, TelemetrySchemaArgs
from runtime import Mount, PublishedPort, Runtime
from settings import Settings, telemetry


@dataclass(frozen=True, kw_only=True, slots=True)
class TelemetryArgs:
    """Where telemetry comes from; where it goes is in the settings."""

    runtime: Runtime
    image: pulumi.Input[str]
    network: Network
    settings: Settings
    stack_id: pulumi.Output[str]
    """Stays the same as long as the stack lives; found again on every signal."""
    stack: str
    """Beginning of the names of volumes."""
    server: str
    """Name of the server component, whose replicas name the folders of logs."""
    today: date
    """Decides when certificates are made anew."""


class Telemetry(pulumi.ComponentResource):
    """Collectors that serve at `endpoint`; nothing has to wait for them."""

    endpoint: str
    logs_volume: str | None
    """Where servers put their log files; None where the profile reads none."""
    server_certificates: tuple[Mount, str] | None
    """What a server needs to trust collectors, where they speak TLS; see `LettaServerArgs`."""
    ready: list[pulumi.Resource]
    """What must be there before a server uses any of this; no collector is."""
    server_environment: dict[str, str]
    server_secrets: dict[str, pulumi.Output[str]]
    server_ca_bundle: str | None
    """With these the server reads traces back (`GET /v1/runs/{id}/trace`)."""
    outputs: dict[str, pulumi.Input[object]]

    def __init__(self, name: str, args: TelemetryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:telemetry:Telemetry", name, None, opts)
        self._args = args
        self._platform = opts.parent if opts else None
        self._chosen = telemetry.choice(args.settings)
        self._destinations = telemetry.destinations(args.settings)
        self._secrets = {name: pulumi.Output.secret(value) for name, value in telemetry.secrets(args.settings)}
        self._clickhouse = self._destinations.clickhouse if self._chosen.profile.uses("clickhouse") else None
        self._reception = telemetry.receiver_security(args.settings)
        if self._reception.token and otel.OTLP_TOKEN not in self._secrets:
            self._secrets[otel.OTLP_TOKEN] = self._generated_token(name)
        self.logs_volume, self.server_certificates, self.ready = None, None, []
        if self._chosen.profile.uses("filelog/letta"):
            self.logs_volume = f"{args.stack}-logs"
            self.ready.append(
                args.runtime.data_volume(self.logs_volume, protect=args.settings.protect_data, parent=self)
            )
        if self._reception.tls:
            certificates = self._certificates(name)
            self.ready.append(certificates.ready)
            self.server_certificates = (
                Mount(source=certificates.volume, path=FOLDER, read_only=True),
                AUTHORITY,
            )
        collector = self._collector(after=[*self._schema(name), *self.ready])
        self.endpoint = collector.endpoint
        self.server_environment, self.server_secrets, self.server_ca_bundle = {}, {}, None
        if self._clickhouse:
            self.server_environment = {
                "CLICKHOUSE_ENDPOINT": self._clickhouse.address,
                "CLICKHOUSE_USERNAME": self._clickhouse.username,
                "CLICKHOUSE_DATABASE": self._clickhouse.database,
            }
            self.server_secrets = {"CLICKHOUSE_PASSWORD": self._secrets[otel.CLICKHOUSE_PASSWORD]}
            self.server_ca_bundle = telemetry.ca_bundle(args.settings)
        self.outputs = self._reported(collector)
        self.register_outputs({})

    def _generated_token(self, name: str) -> pulumi.Output[str]:
        token = random.RandomPassword(
            f"{name}-otlp-token", length=40, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        return pulumi.Output.secret(token.result)

    def _certificates(self, name: str) -> OtlpCertificates:
        return OtlpCertificates(
            f"{name}-certificates",
            OtlpCertificatesArgs(
                runtime=self._args.runtime,
                image=self._args.image,
                names=(ALIAS, "localhost", "127.0.0.1", *self._published_as()),
                today=self._args.today,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _published_as(self) -> tuple[str, ...]:
        """Give the address that ports are published on, where it is one, and the name of the machine."""
        settings = self._args.settings
        address = ipaddress.IPv4Address(settings.bind_address)
        own = () if address.is_unspecified or str(address) == "127.0.0.1" else (str(address),)
        return (*own, settings.otlp_host_name) if settings.otlp_host_name else own

    def _schema(self, name: str) -> list[pulumi.Resource]:
        """Make the tables, and give what a collector must wait for.

        Only one that would make tables itself waits. Any other starts without them: it keeps what comes in until
        ClickHouse is there.
        """
        if self._clickhouse is None:
            return []
        settings = self._args.settings
        schema = TelemetrySchema(
            f"{name}-schema",
            TelemetrySchemaArgs(
                runtime=self._args.runtime,
                image=self._args.image,
                network=self._args.network.tier("egress-collector"),
                target=self._clickhouse,
                password=self._secrets[otel.CLICKHOUSE_PASSWORD],
                ca_bundle=telemetry.ca_bundle(settings),
                retention_days=settings.telemetry_retention_days,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return [] if settings.collector_version.has(otel.Feature.CLICKHOUSE_SCHEMA_SWITCH) else [schema.ready]

    def _configuration(self, log_folders: tuple[str, ...]) -> pulumi.Output[Mapping[str, Any]]:
        settings = self._args.settings
        return self._args.stack_id.apply(
            lambda known: otel.compose(
                self._chosen.profile,
                version=str(settings.collector_version),
                level=settings.log_level,
                memory_mib=settings.collector_memory_mb,
                destinations=self._destinations,
                environment=settings.deployment_environment,
                device_id=known,
                redaction=settings.telemetry_redaction,
                queue_budget=telemetry.queue_budget(settings),
                log_directories=log_folders,
                receiver_security=self._reception,
            )
        )

    def _collector(self, *, after: list[pulumi.Resource]) -> Collector:
        args, settings, layout = self._args, self._args.settings, otel.CONTAINER
        outside = self._reception.token
        grpc, http = (
            (layout.outside_grpc_port, layout.outside_http_port)
            if outside
            else (layout.grpc_port, layout.http_port)
        )
        return Collector(
            f"{args.stack}-collector",
            CollectorArgs(
                runtime=args.runtime,
                image=args.image,
                networks=(args.network.tier("telemetry"), args.network.tier("egress-collector")),
                memory_mb=settings.collector_memory_mb,
                cpus=settings.collector_cpus,
                replicas=telemetry.collector_replicas(settings),
                soak_seconds=settings.collector_watch_seconds,
                profile=self._chosen.profile,
                version=str(settings.collector_version),
                configuration=self._configuration,
                secrets=self._secrets,
                ca_bundle=telemetry.ca_bundle(settings),
                receiver_security=self._reception,
                certificates_volume=self.server_certificates[0].source if self.server_certificates else None,
                # Each container of a replica has a folder of its own, in which the server puts `logs`.
                log_folders=tuple(
                    f"{replica_name(args.server, index)}/*/logs" for index in range(settings.letta_replicas)
                ),
                logs_volume=self.logs_volume,
                ports=tuple(
                    PublishedPort(internal=internal, external=external, address=settings.bind_address)
                    for internal, external in (
                        (grpc, settings.otlp_grpc_port),
                        (http, settings.otlp_http_port),
                        (layout.metrics_port, settings.collector_metrics_port),
                        (layout.health_port, settings.collector_health_port),
                    )
                ),
                files_volume=f"{args.stack}-traces",
                protect_data=settings.protect_data,
                after=after,
                deadline_seconds=settings.start_timeout_seconds,
            ),
            # It was the platform's own child once; without an alias its volume would be made anew.
            opts=pulumi.ResourceOptions(parent=self, aliases=[pulumi.Alias(parent=self._platform)]),
        )

    def _reported(self, collector: Collector) -> dict[str, pulumi.Input[object]]:
        """Say what was chosen and why, what it cannot give, and where what it writes is found."""
        profile, version = self._chosen.profile, str(self._args.settings.collector_version)
        told: dict[str, pulumi.Input[object]] = {
            "telemetryProfile": profile.name,
            "telemetryReason": self._chosen.reason,
            "telemetryLimitations": list(otel.limitations(profile, version=version)),
        }
        if otel.VULNERABILITIES[version]:
            told["collectorVulnerabilities"] = list(otel.VULNERABILITIES[version])
            pulumi.warn(
                f"letta:collectorVersion {version} has known vulnerabilities: "
                + "; ".join(otel.VULNERABILITIES[version]),
                self,
            )
        if self._reception.token:
            told["otlpToken"] = self._secrets[otel.OTLP_TOKEN]
        if self.server_certificates:
            told["otlpCertificatesVolume"] = self.server_certificates[0].source
        if self._clickhouse:
            told["telemetrySchemaVersion"] = otel.clickhouse.SCHEMA_VERSION
        if collector.files_volume:
            told["tracesVolume"] = collector.files_volume
            told["tracesFile"] = otel.TRACES_FILE
        return told
