"""The whole platform of one stack: its parts, the order in which they start, what they know of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from urllib.parse import quote

import pulumi
import pulumi_random as random

from components import model_providers
from components.image_build import REGISTRY, ImageBuild, ImageBuildArgs, stage_ca_bundle
from components.letta_server import LettaServer, LettaServerArgs
from components.migration import Migration, MigrationArgs
from components.network import Network, NetworkArgs
from components.nginx import PORT as NGINX_PORT
from components.nginx import Nginx, NginxArgs
from components.postgres import Postgres, PostgresArgs
from components.redis import Redis, RedisArgs
from components.telemetry import Telemetry, TelemetryArgs
from runtime import PublishedPort, Runtime
from runtime.engine import EngineRuntime
from settings import Settings

IMAGES = Path("images")
DASHBOARD = "letta-service"
"""Uid of the dashboard of `otel/dashboards/` that a stack links to."""
DEBIAN = f"{REGISTRY}/debian:trixie"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformArgs:
    """Everything that distinguishes one environment from another is in its settings."""

    stack: str
    settings: Settings
    ca_bundle: Path | None = None
    """What the machine's own programs trust, where its network intercepts TLS; a setting goes before it."""
    today: date = field(default_factory=date.today)
    """Certificates are made anew from time to time."""


class Platform(pulumi.ComponentResource):
    """A Letta platform that answers; `outputs` is what the stack exports."""

    outputs: dict[str, pulumi.Input[object]]

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:platform:Platform", name, None, opts)
        self._name = name
        self._settings = args.settings
        self._ca_bundle = args.ca_bundle
        self._today = args.today
        self._images = self._build_images()
        stack_id = random.RandomUuid(f"{name}-id", opts=pulumi.ResourceOptions(parent=self))
        self._runtime: Runtime = EngineRuntime(
            stack=args.stack,
            stack_id=stack_id.result,
            bundle_key=self._generated("bundle-key"),
            bundle_image=self._image("base"),
        )
        if args.settings.services == "data":
            self.outputs = self._data_only()
        else:
            self.outputs = self._full_platform(stack_id.result)
        self.register_outputs({})

    # -- parts ------------------------------------------------------------------------------------------

    def _build_images(self) -> dict[str, ImageBuild]:
        settings = self._settings
        names = ["postgres", "redis"]
        if settings.services == "all":
            names += ["letta", "collector", "nginx"]
        stage_ca_bundle(settings.ca_bundle or self._ca_bundle)
        refreshed = (IMAGES / "refreshed").read_text().strip()

        more = {"collector": {"COLLECTOR_VERSION": str(settings.collector_version)}}

        def image(short: str, base: str, parents: tuple[pulumi.Resource, ...]) -> ImageBuild:
            return ImageBuild(
                f"{self._name}-image-{short}",
                ImageBuildArgs(
                    context=IMAGES / short,
                    build_args={"BASE": base, "REFRESHED": refreshed, **more.get(short, {})},
                    parents=parents,
                    pinned=settings.pinned_images.get(short),
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )

        base = image("base", settings.base_image or DEBIAN, ())
        return {
            "base": base,
            **{short: image(short, base.reference, (base.image,)) for short in names},
        }

    def _image(self, short: str) -> pulumi.Output[str]:
        # The resource's own output, not the string: whoever uses the image starts after it is built.
        return self._images[short].image.name

    def _generated(self, purpose: str, *, protect: bool = False) -> pulumi.Output[str]:
        password = random.RandomPassword(
            f"{self._name}-{purpose}",
            length=40,
            special=False,
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )
        return pulumi.Output.secret(password.result)

    def _port(self, internal: int, external: int) -> PublishedPort:
        return PublishedPort(internal=internal, external=external, address=self._settings.bind_address)

    def _postgres(self, networks: tuple[pulumi.Input[str], ...], published: PublishedPort | None) -> Postgres:
        settings = self._settings
        return Postgres(
            f"{self._name}-postgres",
            PostgresArgs(
                runtime=self._runtime,
                image=self._image("postgres"),
                networks=networks,
                memory_mb=settings.postgres_memory_mb,
                cpus=settings.postgres_cpus,
                max_connections=settings.postgres_max_connections,
                credential_generation=settings.database_credential_generation,
                protect_data=settings.protect_data,
                deadline_seconds=settings.start_timeout_seconds,
                published=published,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _redis(self, networks: tuple[pulumi.Input[str], ...], published: PublishedPort | None) -> Redis:
        settings = self._settings
        return Redis(
            f"{self._name}-redis",
            RedisArgs(
                runtime=self._runtime,
                image=self._image("redis"),
                networks=networks,
                memory_mb=settings.redis_memory_mb,
                cpus=settings.redis_cpus,
                deadline_seconds=settings.start_timeout_seconds,
                published=published,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _network(self, *tiers: str) -> Network:
        return Network(
            self._name,
            NetworkArgs(runtime=self._runtime, subnet=self._settings.network_subnet, tiers=tiers),
            opts=pulumi.ResourceOptions(parent=self),
        )

    # -- compositions -----------------------------------------------------------------------------------

    def _data_only(self) -> dict[str, pulumi.Input[object]]:
        """Postgres and Redis alone, for whoever runs the server from source on the host."""
        settings = self._settings
        # Ports cannot be published from internal networks, so the tier is `edge` here.
        network = self._network("edge")
        edge = network.tier("edge")
        postgres = self._postgres((edge,), self._port(5432, settings.postgres_port))
        self._redis((edge,), self._port(6379, settings.redis_port))
        host = _host(settings.bind_address)
        return {
            "postgresUrl": postgres.uri.apply(
                lambda uri: uri.replace("@postgres:5432/", f"@{host}:{settings.postgres_port}/")
            ),
            "redisUrl": f"redis://{host}:{settings.redis_port}",
            "images": self._references(),
        }

    def _full_platform(self, stack_id: pulumi.Output[str]) -> dict[str, pulumi.Input[object]]:
        settings = self._settings
        network = self._network("edge", "app", "data", "telemetry", "egress-server", "egress-collector")
        data = network.tier("data")
        server_password = (
            pulumi.Output.secret(settings.server_password.get_secret_value())
            if settings.server_password
            else self._generated("server-password")
        )
        encryption_key = (
            pulumi.Output.secret(settings.encryption_key.get_secret_value())
            if settings.encryption_key
            # Losing it is losing every stored credential, so it is as protected as the data.
            else self._generated("encryption-key", protect=settings.protect_data)
        )
        postgres = self._postgres((data,), None)
        redis = self._redis((data,), None)
        migration = Migration(
            f"{self._name}-migration",
            MigrationArgs(
                runtime=self._runtime,
                image=self._image("letta"),
                network=data,
                database_uri=postgres.uri,
                encryption_key=encryption_key,
                data=postgres.data,
                after=[postgres.ready],
                deadline_seconds=max(settings.start_timeout_seconds, 300),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        server_name = f"{self._name}-server"
        telemetry = Telemetry(
            f"{self._name}-telemetry",
            TelemetryArgs(
                runtime=self._runtime,
                image=self._image("collector"),
                network=network,
                settings=settings,
                stack_id=stack_id,
                stack=self._name,
                server=server_name,
                today=self._today,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        server = LettaServer(
            server_name,
            LettaServerArgs(
                runtime=self._runtime,
                image=self._image("letta"),
                networks=(network.tier("app"), data, network.tier("telemetry"), network.tier("egress-server")),
                memory_mb=settings.letta_memory_mb,
                cpus=settings.letta_cpus,
                replicas=settings.letta_replicas,
                pool_size=settings.letta_pool_size,
                pool_max_overflow=settings.letta_pool_max_overflow,
                database_uri=postgres.uri,
                server_password=server_password,
                encryption_key=encryption_key,
                deployment_environment=settings.deployment_environment,
                debug=settings.log_level == "debug",
                environment={**model_providers.addresses(settings), **telemetry.server_environment},
                secrets={**model_providers.keys(settings), **telemetry.server_secrets},
                telemetry_endpoint=telemetry.endpoint,
                telemetry_certificates=telemetry.server_certificates,
                ca_bundle=telemetry.server_ca_bundle,
                logs_volume=telemetry.logs_volume,
                source_directory=str(settings.source_directory) if settings.source_directory else None,
                migration=migration.startup_gate,
                schema=migration.ready,
                # Not after the collector: nobody waits for telemetry.
                after=[postgres.ready, redis.ready, *telemetry.ready],
                deadline_seconds=settings.start_timeout_seconds,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        Nginx(
            f"{self._name}-nginx",
            NginxArgs(
                runtime=self._runtime,
                image=self._image("nginx"),
                edge_network=network.tier("edge"),
                app_network=network.tier("app"),
                memory_mb=settings.nginx_memory_mb,
                cpus=settings.nginx_cpus,
                published=self._port(NGINX_PORT, settings.api_port),
                servers=server.addresses,
                debug=settings.log_level == "debug",
                after=[migration.ready, *server.ready],
                deadline_seconds=settings.start_timeout_seconds,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return {
            **_endpoints(settings),
            **telemetry.outputs,
            "images": self._references(),
            "serverPassword": server_password,
            **_grafana(settings, stack_id),
        }

    def _references(self) -> dict[str, str]:
        return {short: build.reference for short, build in sorted(self._images.items())}


def _host(bind_address: str) -> str:
    """Give the name by which a published port is reached from this machine."""
    return "localhost" if bind_address in {"127.0.0.1", "0.0.0.0"} else bind_address  # noqa: S104


def _endpoints(settings: Settings) -> dict[str, str]:
    host = _host(settings.bind_address)
    api = f"http://{host}:{settings.api_port}"
    otlp = "https" if settings.require_tls else "http"
    return {
        "apiUrl": api,
        "docsUrl": f"{api}/docs",
        "healthUrl": f"{api}/v1/health/",
        "otlpGrpcEndpoint": f"{otlp}://{host}:{settings.otlp_grpc_port}",
        "otlpHttpEndpoint": f"{otlp}://{host}:{settings.otlp_http_port}",
        "collectorHealthUrl": f"http://{host}:{settings.collector_health_port}/",
        "collectorMetricsUrl": f"http://{host}:{settings.collector_metrics_port}/metrics",
    }


def _grafana(settings: Settings, stack_id: pulumi.Output[str]) -> dict[str, pulumi.Output[str]]:
    """Link to this stack's traces, found by the device id that its collectors put on every signal."""
    if not settings.grafana_url:
        return {}
    link = f"{str(settings.grafana_url).rstrip('/')}/d/{DASHBOARD}?var-device_id="
    return {"grafanaTracesUrl": stack_id.apply(lambda known: link + quote(known))}


__all__: Sequence[str] = ["Platform", "PlatformArgs"]
