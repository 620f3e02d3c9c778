"""The complete platform of one stack: its parts, the order in which they start, what they know of each other.

The only component that gets `Settings`: it hands each part its own arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pulumi
import pulumi_random as random
from pydantic import SecretStr

import catalogue
from catalogue import Composition
from components import model_providers, nginx, outputs, postgres, redis
from components.collector import HostPorts
from components.data_volumes import DataVolumes, DataVolumesArgs
from components.images import Images, ImagesArgs
from components.letta_server import LettaServer, LettaServerArgs, replica_names
from components.migration import Migration, MigrationArgs
from components.network import TIERS, Network, NetworkArgs
from components.nginx import Nginx, NginxArgs
from components.postgres import Postgres, PostgresArgs
from components.redis import Redis, RedisArgs
from components.telemetry import Telemetry, TelemetryArgs
from runtime import Limits, PublishedPort, Runtime, RuntimeArgs, factory
from settings import Settings
from settings import telemetry as telemetry_settings


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformArgs:
    """Everything that distinguishes one environment from another is in its settings."""

    stack: str
    settings: Settings
    ca_bundle: Path | None = None
    """What the machine's own programs trust, where its network intercepts TLS; the setting overrides it."""
    today: date = field(default_factory=date.today)
    """Certificates are renewed from time to time."""
    runtime: Callable[[RuntimeArgs], Runtime] = factory.create
    """Makes what runs the services."""


class Platform(pulumi.ComponentResource):
    """A Letta platform that answers; `outputs` is what the stack exports."""

    outputs: dict[str, pulumi.Input[object]]

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:platform:Platform", name, None, opts)
        self._name, self._settings, self._today = name, args.settings, args.today
        self._child = pulumi.ResourceOptions(parent=self)
        composition = args.settings.services
        self._images = self._all_images(composition, args.ca_bundle)
        self._stack_id: pulumi.Output[str] = random.RandomUuid(f"{name}-id", opts=self._child).result
        self._runtime = args.runtime(
            RuntimeArgs(
                stack=args.stack,
                stack_id=self._stack_id,
                bundle_key=self._generated("bundle-key"),
                base_image=self._images.name(catalogue.BASE_IMAGE_NAME),
            )
        )
        self._volumes = DataVolumes(
            f"{name}-volumes",
            DataVolumesArgs(runtime=self._runtime, stack=name, protect=args.settings.protect_data),
            opts=self._child,
        )
        # What was generated once is the same after every change of settings and back. The key also next to one
        # that is set: losing it is losing every stored credential.
        key = self._generated("encryption-key", protect=args.settings.protect_data)
        self._encryption_key = _secret(args.settings.encryption_key) or key
        self._server_password = _secret(args.settings.server_password) or self._generated("server-password")
        compositions = {Composition.ALL: self._full_platform, Composition.DATA: self._data_services}
        self.outputs = {**compositions[composition](), "images": self._images.references}
        self.register_outputs({})

    # -- compositions -----------------------------------------------------------------------------------

    def _data_services(self) -> dict[str, pulumi.Input[object]]:
        """Run Postgres and Redis alone, for users who run the server from source on the host."""
        settings = self._settings
        # Ports cannot be published from internal networks, so the tier is `edge` here.
        edge = self._network("edge").tier("edge")
        database = self._postgres(edge, self._port(postgres.PORT, settings.postgres_port))
        self._redis(edge, self._port(redis.PORT, settings.redis_port))
        return outputs.data_services(settings, database.uri)

    def _full_platform(self) -> dict[str, pulumi.Input[object]]:
        """Run everything, the API published by nginx."""
        settings = self._settings
        server_name = f"{self._name}-server"
        network = self._network(*TIERS)
        data = network.tier("data")
        database = self._postgres(data, None)
        cache = self._redis(data, None)
        migration = Migration(
            f"{self._name}-migration",
            MigrationArgs(
                runtime=self._runtime,
                image=self._images.name(catalogue.LETTA.name),
                network=data,
                database_uri=database.uri,
                encryption_key=self._encryption_key,
                data=self._volumes.volume(catalogue.POSTGRES_DATA),
                after=[database.ready],
                deadline_seconds=max(settings.start_timeout_seconds, 300),
            ),
            opts=self._child,
        )
        telemetry = self._telemetry(network, replica_names(server_name, settings.letta_replicas))
        server = LettaServer(
            server_name,
            LettaServerArgs(
                runtime=self._runtime,
                image=self._images.name(catalogue.LETTA.name),
                networks=(network.tier("app"), data, network.tier("telemetry"), network.tier("egress-server")),
                limits=Limits(memory_mb=settings.letta_memory_mb, cpus=settings.letta_cpus),
                replicas=settings.letta_replicas,
                pool_size=settings.letta_pool_size,
                pool_max_overflow=settings.letta_pool_max_overflow,
                database_uri=database.uri,
                server_password=self._server_password,
                encryption_key=self._encryption_key,
                deployment_environment=settings.deployment_environment,
                debug=settings.log_level == "debug",
                environment=model_providers.addresses(settings),
                secrets=model_providers.keys(settings),
                telemetry=telemetry.server,
                source_directory=str(settings.source_directory) if settings.source_directory else None,
                migration=migration.startup_gate,
                schema=migration.ready,
                # Not after the collector: no service waits for telemetry.
                after=[database.ready, cache.ready],
                deadline_seconds=settings.start_timeout_seconds,
            ),
            opts=self._child,
        )
        Nginx(
            f"{self._name}-nginx",
            NginxArgs(
                runtime=self._runtime,
                image=self._images.name(catalogue.NGINX.name),
                edge_network=network.tier("edge"),
                app_network=network.tier("app"),
                limits=Limits(memory_mb=settings.nginx_memory_mb, cpus=settings.nginx_cpus),
                published=self._port(nginx.PORT, settings.api_port),
                servers=server.addresses,
                debug=settings.log_level == "debug",
                after=[migration.ready, *server.ready],
                deadline_seconds=settings.start_timeout_seconds,
            ),
            opts=self._child,
        )
        return {
            **outputs.endpoints(settings),
            **telemetry.outputs,
            "serverPassword": self._server_password,
            **outputs.grafana(settings, self._stack_id),
        }

    # -- parts ------------------------------------------------------------------------------------------

    def _all_images(self, composition: Composition, ca_bundle: Path | None) -> Images:
        settings = self._settings
        return Images(
            self._name,
            ImagesArgs(
                composition=composition,
                debian=settings.base_image or catalogue.DEBIAN_IMAGE,
                ca_bundle=settings.ca_bundle or ca_bundle,
                pinned=settings.pinned_images,
                extra_build_args={
                    catalogue.COLLECTOR.name: {"COLLECTOR_VERSION": str(settings.collector_version)}
                },
            ),
            opts=self._child,
        )

    def _network(self, *tiers: str) -> Network:
        return Network(
            self._name,
            NetworkArgs(runtime=self._runtime, subnet=self._settings.network_subnet, tiers=tiers),
            opts=self._child,
        )

    def _postgres(self, network: pulumi.Input[str], published: PublishedPort | None) -> Postgres:
        settings = self._settings
        return Postgres(
            f"{self._name}-postgres",
            PostgresArgs(
                runtime=self._runtime,
                image=self._images.name(catalogue.POSTGRES.name),
                network=network,
                limits=Limits(memory_mb=settings.postgres_memory_mb, cpus=settings.postgres_cpus),
                max_connections=settings.postgres_max_connections,
                credential_generation=settings.database_credential_generation,
                data=self._volumes.volume(catalogue.POSTGRES_DATA),
                deadline_seconds=settings.start_timeout_seconds,
                published=published,
            ),
            opts=self._child,
        )

    def _redis(self, network: pulumi.Input[str], published: PublishedPort | None) -> Redis:
        settings = self._settings
        return Redis(
            f"{self._name}-redis",
            RedisArgs(
                runtime=self._runtime,
                image=self._images.name(catalogue.REDIS.name),
                network=network,
                limits=Limits(memory_mb=settings.redis_memory_mb, cpus=settings.redis_cpus),
                deadline_seconds=settings.start_timeout_seconds,
                published=published,
            ),
            opts=self._child,
        )

    def _telemetry(self, network: Network, servers: tuple[str, ...]) -> Telemetry:
        settings = self._settings
        return Telemetry(
            f"{self._name}-telemetry",
            TelemetryArgs(
                runtime=self._runtime,
                image=self._images.name(catalogue.COLLECTOR.name),
                network=network,
                volumes=self._volumes,
                stack=self._name,
                stack_id=self._stack_id,
                environment=settings.deployment_environment,
                log_level=settings.log_level,
                servers=servers,
                choice=telemetry_settings.choice(settings),
                destinations=telemetry_settings.destinations(settings),
                secrets=dict(telemetry_settings.secrets(settings)),
                ca_bundle=telemetry_settings.ca_bundle(settings),
                redaction=settings.telemetry_redaction,
                retention_days=settings.telemetry_retention_days,
                queue_budget=telemetry_settings.queue_budget(settings),
                receiver_security=telemetry_settings.receiver_security(settings),
                version=settings.collector_version,
                limits=Limits(memory_mb=settings.collector_memory_mb, cpus=settings.collector_cpus),
                replicas=telemetry_settings.collector_replicas(settings),
                soak_seconds=settings.collector_watch_seconds,
                ports=HostPorts(
                    address=settings.bind_address,
                    grpc=settings.otlp_grpc_port,
                    http=settings.otlp_http_port,
                    metrics=settings.collector_metrics_port,
                    health=settings.collector_health_port,
                ),
                host_name=settings.otlp_host_name,
                today=self._today,
                deadline_seconds=settings.start_timeout_seconds,
            ),
            opts=self._child,
        )

    def _port(self, internal: int, external: int) -> PublishedPort:
        return PublishedPort(internal=internal, external=external, address=self._settings.bind_address)

    def _generated(self, purpose: str, *, protect: bool = False) -> pulumi.Output[str]:
        password = random.RandomPassword(
            f"{self._name}-{purpose}",
            length=40,
            special=False,
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )
        return pulumi.Output.secret(password.result)


def _secret(given: SecretStr | None) -> pulumi.Output[str] | None:
    return pulumi.Output.secret(given.get_secret_value()) if given else None
