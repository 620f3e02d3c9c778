"""Every key of the namespace `letta`, in groups: type, range, default, meaning, and the variable that it decides.

Fields only; rules between keys are in `rules`, and `loading` applies both. Longer than other files because it is
one table: split by group, a reader would have to search six files for a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

import catalogue
import otel
import otel.clickhouse
from settings.values import (
    ApiKey,
    ApiVersion,
    AzureUrl,
    BaseUrl,
    BindAddress,
    CaBundle,
    Cpus,
    Credential,
    DatabaseName,
    EncryptionKey,
    Endpoint,
    EnvironmentName,
    Flag,
    HostName,
    Identifier,
    ImageReference,
    Megabytes,
    Names,
    OllamaUrl,
    OpenaiUrl,
    Port,
    ProviderVariable,
    Rule,
    SecretNames,
    ServerPassword,
    SourceDirectory,
    Subnet,
    Text,
    Url,
    Variable,
    Whole,
)

NAMESPACE = "letta"
"""All keys are `letta:<key>`; also the Pulumi project's name."""

SUPPORTED_LETTA_VERSIONS = ("0.16.8",)
"""Server versions that `images/letta` has locked dependencies and tests for."""


class LogLevel(StrEnum):
    """How much the server logs."""

    INFO = "info"
    DEBUG = "debug"


class TelemetryProfile(StrEnum):
    """Where the collector sends what it receives: the names of `otel.PROFILES`."""

    FILE_DEV = "file-dev"
    FILE = "file"
    CLICKHOUSE_DEV = "clickhouse-dev"
    CLICKHOUSE = "clickhouse"
    CLICKHOUSE_PROD = "clickhouse-prod"
    SIGNOZ = "signoz"


class TelemetryVariant(StrEnum):
    """Which variant of a profile is used when `telemetryProfile` is not set."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


def _supported_version(value: str) -> str:
    if value not in SUPPORTED_LETTA_VERSIONS:
        supported = ", ".join(SUPPORTED_LETTA_VERSIONS)
        raise PydanticCustomError("rule", "{rule}", {"rule": f"must be a supported server version: {supported}"})
    return value


def _collector_version(value: object) -> otel.CollectorVersion:
    if str(value) not in otel.VERSIONS:
        supported = ", ".join(otel.VERSIONS)
        raise PydanticCustomError(
            "rule", "{rule}", {"rule": f"must be a supported collector version: {supported}"}
        )
    return otel.CollectorVersion.parse(str(value))


class _Group(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class Endpoints(_Group):
    """Services and their addresses."""

    services: catalogue.Composition = Field(
        default=catalogue.Composition.ALL,
        description="What runs: all, or data (only PostgreSQL and Redis, published for a server run from source)",
    )
    bind_address: BindAddress = Field(
        default="127.0.0.1", description="IPv4 address that published ports listen on"
    )
    api_port: Port = Field(default=8283, description="Port of the API (nginx)")
    otlp_grpc_port: Port = Field(default=4317, description="Port of the collector for OTLP over gRPC")
    otlp_http_port: Port = Field(default=4318, description="Port of the collector for OTLP over HTTP")
    collector_health_port: Port = Field(default=13133, description="Port of the collector's health check")
    collector_metrics_port: Port = Field(
        default=8888, description="Port of the collector's own Prometheus metrics"
    )
    postgres_port: Port = Field(default=5432, description="Port of PostgreSQL; published with services=data only")
    redis_port: Port = Field(default=6379, description="Port of Redis; published with services=data only")
    network_subnet: Subnet | None = Field(
        default=None,
        description="Private address range (/24 or larger) for the stack's networks; none: Docker chooses",
        examples=["10.87.0.0/22"],
    )


class Images(_Group):
    """Images and source."""

    letta_version: Annotated[Text, AfterValidator(_supported_version)] = Field(
        default="0.16.8", description="Version of the Letta server"
    )
    base_image: ImageReference | None = Field(
        default=None,
        description="Debian trixie image that all images are built on; none: pulled or bootstrapped by make up",
        examples=["debian:trixie-slim"],
    )
    ca_bundle: CaBundle | None = Field(
        default=None,
        description="PEM file of CA certificates that image builds trust, for networks that intercept TLS",
        examples=["/etc/ssl/certs/ca-certificates.crt"],
    )
    pinned_images: Names = Field(
        default_factory=dict,
        description="Reference with @sha256 digest for each image name; when it is set, nothing is built",
        examples=["registry.example/letta@sha256:DIGEST"],
    )
    source_directory: Annotated[SourceDirectory | None, Variable("LETTA_SOURCE")] = Field(
        default=None,
        description="Checkout of the server's source that runs instead of the image's and reloads on change",
        examples=["../letta"],
    )


class Resources(_Group):
    """Memory, CPU and connections."""

    postgres_memory_mb: Annotated[
        Megabytes, Field(ge=256), Rule("must be at least 256 (MiB): shared buffers and 100 connections need it")
    ] = Field(default=catalogue.POSTGRES.memory_mb, description="Memory limit of PostgreSQL in MiB")
    redis_memory_mb: Annotated[
        Megabytes, Field(ge=64), Rule("must be at least 64 (MiB): background streams are kept in it")
    ] = Field(default=catalogue.REDIS.memory_mb, description="Memory limit of Redis in MiB")
    letta_memory_mb: Annotated[
        Megabytes, Field(ge=768), Rule("must be at least 768 (MiB): an idle server takes about 460")
    ] = Field(default=catalogue.LETTA.memory_mb, description="Memory limit of one Letta server in MiB")
    nginx_memory_mb: Annotated[
        Megabytes, Field(ge=32), Rule("must be at least 32 (MiB): a reload runs two sets of workers")
    ] = Field(default=catalogue.NGINX.memory_mb, description="Memory limit of nginx in MiB")
    collector_memory_mb: Annotated[
        Megabytes, Field(ge=128), Rule("must be at least 128 (MiB): batches and queues are kept in it")
    ] = Field(default=catalogue.COLLECTOR.memory_mb, description="Memory limit of the collector in MiB")
    postgres_cpus: Cpus | None = Field(
        default=None, description="CPU limit of PostgreSQL; none: no limit", examples=["2"]
    )
    redis_cpus: Cpus | None = Field(
        default=None, description="CPU limit of Redis; none: no limit", examples=["0.5"]
    )
    letta_cpus: Cpus | None = Field(
        default=None, description="CPU limit of one Letta server; none: no limit", examples=["2"]
    )
    nginx_cpus: Cpus | None = Field(
        default=None, description="CPU limit of nginx; none: no limit", examples=["0.5"]
    )
    collector_cpus: Cpus | None = Field(
        default=None, description="CPU limit of the collector; none: no limit", examples=["0.5"]
    )
    postgres_max_connections: Annotated[
        Whole, Field(ge=20, le=1000), Rule("must be a whole number from 20 to 1000")
    ] = Field(default=100, description="Connections that PostgreSQL accepts")
    letta_replicas: Annotated[Whole, Field(ge=1, le=16), Rule("must be a whole number from 1 to 16")] = Field(
        default=1, description="Number of Letta servers"
    )
    letta_pool_size: Annotated[Whole, Field(ge=1, le=100), Rule("must be a whole number from 1 to 100")] = Field(
        default=10, description="Database connections that one server keeps open"
    )
    letta_pool_max_overflow: Annotated[
        Whole, Field(ge=0, le=100), Rule("must be a whole number from 0 to 100")
    ] = Field(default=10, description="Database connections that one server may open beyond its pool")
    start_timeout_seconds: Annotated[
        Whole, Field(ge=30, le=3600), Rule("must be a whole number of seconds from 30 to 3600")
    ] = Field(default=180, description="Seconds a service may take to become healthy")


class Providers(_Group):
    """Model providers and the server's environment."""

    openai_api_key: Annotated[ApiKey | None, ProviderVariable("OPENAI_API_KEY", suffices=True)] = Field(
        default=None, description="API key of OpenAI"
    )
    openai_base_url: Annotated[
        OpenaiUrl | None, ProviderVariable("OPENAI_BASE_URL", synonyms=("OPENAI_API_BASE",))
    ] = Field(
        default=None,
        description="Base URL of OpenAI or of a service that speaks its API",
        examples=["https://api.openai.com/v1"],
    )
    anthropic_api_key: Annotated[ApiKey | None, ProviderVariable("ANTHROPIC_API_KEY", suffices=True)] = Field(
        default=None, description="API key of Anthropic"
    )
    ollama_base_url: Annotated[OllamaUrl | None, ProviderVariable("OLLAMA_BASE_URL", suffices=True)] = Field(
        default=None, description="Base URL of Ollama", examples=["http://ollama.example:11434"]
    )
    vllm_base_url: Annotated[BaseUrl | None, ProviderVariable("VLLM_API_BASE", suffices=True)] = Field(
        default=None, description="Base URL of vLLM", examples=["http://vllm.example:8000/v1"]
    )
    azure_api_key: Annotated[ApiKey | None, ProviderVariable("AZURE_API_KEY", suffices=True)] = Field(
        default=None, description="API key of Azure OpenAI"
    )
    azure_base_url: Annotated[AzureUrl | None, ProviderVariable("AZURE_BASE_URL")] = Field(
        default=None, description="Base URL of Azure OpenAI", examples=["https://name.openai.azure.com"]
    )
    azure_api_version: Annotated[ApiVersion | None, ProviderVariable("AZURE_API_VERSION")] = Field(
        default=None, description="API version of Azure OpenAI; none: the server's own", examples=["2024-10-21"]
    )
    gemini_api_key: Annotated[ApiKey | None, ProviderVariable("GEMINI_API_KEY", suffices=True)] = Field(
        default=None, description="API key of Google Gemini"
    )
    gemini_base_url: Annotated[BaseUrl | None, ProviderVariable("GEMINI_BASE_URL")] = Field(
        default=None,
        description="Base URL of Google Gemini",
        examples=["https://generativelanguage.googleapis.com/"],
    )
    groq_api_key: Annotated[ApiKey | None, ProviderVariable("GROQ_API_KEY", suffices=True)] = Field(
        default=None, description="API key of Groq"
    )
    server_environment: Names = Field(
        default_factory=dict, description="Further environment variables of the server, none of them secret"
    )
    server_secrets: SecretNames = Field(
        default_factory=dict, description="Further environment variables of the server that are secret"
    )
    log_level: Annotated[LogLevel, Variable("LETTA_DEBUG")] = Field(
        default=LogLevel.INFO, description="How much the server logs: info or debug"
    )


class Protection(_Group):
    """Access and data."""

    server_password: Annotated[ServerPassword | None, Variable("LETTA_SERVER_PASSWORD")] = Field(
        default=None, description="Password of the API; generated when it is not set"
    )
    encryption_key: Annotated[EncryptionKey | None, Variable("LETTA_ENCRYPTION_KEY")] = Field(
        default=None,
        description="Key that encrypts the server's credentials; generated when it is not set, must never change",
    )
    protect_data: Flag = Field(
        default=False, description="Whether the data volumes and the encryption key are protected from removal"
    )
    database_credential_generation: Annotated[
        Whole, Field(ge=1, le=1_000_000), Rule("must be a whole number from 1 up, raised by one for each rotation")
    ] = Field(default=1, description="Raise it by one to rotate the server's database password")


class Telemetry(_Group):
    """Telemetry."""

    deployment_environment: Annotated[EnvironmentName, Variable("LETTA_ENVIRONMENT")] = Field(
        default="dev", description="Name of the environment in traces and metrics"
    )
    telemetry_profile: TelemetryProfile | None = Field(
        default=None,
        description="Where signals go; none: chosen from the destinations that are set (docs/telemetry.md)",
        examples=["clickhouse"],
    )
    telemetry_variant: TelemetryVariant = Field(
        default=TelemetryVariant.DEVELOPMENT,
        description="Variant that is used when telemetryProfile is not set: development or production",
    )
    telemetry_redaction: otel.Redaction = Field(
        default=otel.Redaction.KEYS,
        description="What is removed from traces and logs: nothing, keys, or content (keys, prompts and answers)",
    )
    telemetry_retention_days: Annotated[
        Whole,
        Field(ge=1, le=otel.clickhouse.LONGEST_RETENTION_DAYS),
        Rule(f"must be a whole number of days from 1 to {otel.clickhouse.LONGEST_RETENTION_DAYS}"),
    ] = Field(default=30, description="Days that ClickHouse keeps traces, metrics and logs")
    telemetry_spans_per_second: Annotated[
        Whole, Field(ge=1, le=1_000_000), Rule("must be a whole number from 1 to 1000000")
    ] = Field(default=1_000, description="Spans per second that one collector's queues are sized for")
    telemetry_span_bytes: Annotated[
        Whole, Field(ge=100, le=1_000_000), Rule("must be a whole number of bytes from 100 to 1000000")
    ] = Field(default=1_000, description="Bytes of a span that queues are sized for")
    telemetry_outage_seconds: Annotated[
        Whole, Field(ge=1, le=604_800), Rule("must be a whole number of seconds from 1 to 604800")
    ] = Field(default=900, description="Seconds of a destination's outage that queues are sized for")
    telemetry_queue_disk_mb: Annotated[
        Whole, Field(ge=1, le=10_000_000), Rule("must be a whole number of megabytes from 1 to 10000000")
    ] = Field(default=4_000, description="Disk in MB that the queues of one collector may take")
    collector_version: Annotated[InstanceOf[otel.CollectorVersion], BeforeValidator(_collector_version)] = Field(
        default=otel.CollectorVersion.parse(otel.DEFAULT_VERSION), description="Version of the collector"
    )
    collector_replicas: Annotated[Whole, Field(ge=1, le=2), Rule("must be 1 or 2")] = Field(
        default=1,
        description="Number of collectors, replaced one after the other; must be 1 if the profile writes files",
    )
    collector_watch_seconds: Annotated[
        Whole, Field(ge=0, le=3600), Rule("must be a whole number of seconds from 0 to 3600")
    ] = Field(default=60, description="Seconds that a replaced collector is watched before the next is replaced")
    otlp_token: ApiKey | None = Field(
        default=None,
        description="Token of OTLP clients outside the stack; generated if bindAddress is not a loopback address",
    )
    otlp_host_name: HostName | None = Field(
        default=None,
        description="This machine's name for OTLP clients outside the stack; in the certificate with requireTls",
        examples=["letta.example.com"],
    )
    require_tls: Flag = Field(
        default=False,
        description="Whether telemetry endpoints must be https, and OTLP within the stack speaks TLS",
    )
    telemetry_ca_bundle: CaBundle | None = Field(
        default=None,
        description="PEM file of CA certificates that telemetry trusts in addition to the usual ones",
        examples=["/etc/ssl/company-ca.pem"],
    )
    clickhouse_endpoint: Annotated[Endpoint | None, Variable("CLICKHOUSE_ENDPOINT")] = Field(
        default=None,
        description="ClickHouse over HTTP: scheme, host and port",
        examples=["https://clickhouse.example:8443"],
    )
    clickhouse_username: Annotated[Identifier, Variable("CLICKHOUSE_USERNAME")] = Field(
        default="default", description="User at ClickHouse"
    )
    clickhouse_password: Annotated[Credential | None, Variable("CLICKHOUSE_PASSWORD")] = Field(
        default=None, description="Password at ClickHouse"
    )
    clickhouse_database: Annotated[DatabaseName, Variable("CLICKHOUSE_DATABASE")] = Field(
        default="otel", description="Database at ClickHouse"
    )
    datadog_site: Annotated[HostName | None, Variable("DD_SITE")] = Field(
        default=None, description="Site of Datadog", examples=["datadoghq.com"]
    )
    datadog_api_key: Annotated[ApiKey | None, Variable("DD_API_KEY")] = Field(
        default=None, description="API key of Datadog"
    )
    signoz_endpoint: Annotated[Endpoint | None, Variable("SIGNOZ_ENDPOINT")] = Field(
        default=None,
        description="SigNoz' OTLP endpoint: scheme, host and port",
        examples=["https://ingest.eu.signoz.cloud:443"],
    )
    signoz_ingestion_key: Annotated[ApiKey | None, Variable("SIGNOZ_INGESTION_KEY")] = Field(
        default=None, description="Ingestion key of SigNoz"
    )
    grafana_url: Url | None = Field(
        default=None,
        description="URL of the Grafana that shows the traces; used for links only",
        examples=["https://grafana.example"],
    )


GROUPS: tuple[type[_Group], ...] = (Endpoints, Images, Resources, Providers, Protection, Telemetry)
"""The groups in the order in which people read about them."""


class Settings(Telemetry, Protection, Providers, Resources, Images, Endpoints):
    """The settings of one stack; every attribute is the key in snake_case.

    Made by `settings.load` and `settings.check`, which apply the rules between keys; this class alone does not.
    """

    def value(self, key: str) -> Any:
        """Return the value of a key as it is written in a stack file, such as `lettaMemoryMb`.

        Raises:
            KeyError: when there is no such key.
        """
        return getattr(self, _ATTRIBUTES[key])


_ATTRIBUTES: Mapping[str, str] = {field.alias or name: name for name, field in Settings.model_fields.items()}

SECRET_KEYS = frozenset(
    field.alias or name for name, field in Settings.model_fields.items() if "SecretStr" in repr(field.annotation)
)
"""Keys that Pulumi must hold encrypted: all whose type is secret."""
