"""Rules between keys, and rules of the server's environment: what each key alone cannot say."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import otel
from settings import telemetry
from settings.model import Services

if TYPE_CHECKING:
    from settings.model import Settings

PROVIDER_VARIABLES: Mapping[str, str] = {
    "openaiApiKey": "OPENAI_API_KEY",
    "openaiBaseUrl": "OPENAI_BASE_URL",
    "anthropicApiKey": "ANTHROPIC_API_KEY",
    "ollamaBaseUrl": "OLLAMA_BASE_URL",
    "vllmBaseUrl": "VLLM_API_BASE",
    "azureApiKey": "AZURE_API_KEY",
    "azureBaseUrl": "AZURE_BASE_URL",
    "azureApiVersion": "AZURE_API_VERSION",
    "geminiApiKey": "GEMINI_API_KEY",
    "geminiBaseUrl": "GEMINI_BASE_URL",
    "groqApiKey": "GROQ_API_KEY",
}
"""Settings of model providers to the environment variables that the server reads."""

ALL_IMAGES = frozenset({"base", "postgres", "redis", "letta", "nginx", "collector"})
DATA_IMAGES = frozenset({"base", "postgres", "redis"})

_SETTING_OF = {variable: key for key, variable in PROVIDER_VARIABLES.items()} | {
    "OPENAI_API_BASE": "openaiBaseUrl",
    "LETTA_SERVER_PASSWORD": "serverPassword",
    "LETTA_ENCRYPTION_KEY": "encryptionKey",
    "LETTA_ENVIRONMENT": "deploymentEnvironment",
    "LETTA_DEBUG": "logLevel",
    "CLICKHOUSE_ENDPOINT": "clickhouseEndpoint",
    "CLICKHOUSE_USERNAME": "clickhouseUsername",
    "CLICKHOUSE_PASSWORD": "clickhousePassword",
    "CLICKHOUSE_DATABASE": "clickhouseDatabase",
    "DD_SITE": "datadogSite",
    "DD_API_KEY": "datadogApiKey",
    "SIGNOZ_ENDPOINT": "signozEndpoint",
    "SIGNOZ_INGESTION_KEY": "signozIngestionKey",
}

# What the platform sets itself, or what would change which code runs or where it looks for its files.
_RESERVED = frozenset(
    {
        "HOME", "PATH", "HOST", "PORT", "SECURE", "USER", "TMPDIR", "BASH_ENV", "ENV", "IFS",
        "LETTA_DIR", "LETTA_LOG_FOLDER", "LETTA_CONFIG_PATH", "LETTA_DISABLE_SQLALCHEMY_POOLING",
        "LETTA_AUTHORITIES", "LETTA_CLICKHOUSE_PASSWORD",
        "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "ENV_NAME",
    }
)  # fmt: skip
_RESERVED_PREFIXES = (
    "LETTA_PG_", "LETTA_REDIS_", "LETTA_SERVER_", "LETTA_ENCRYPTION_", "LETTA_OTEL_", "LETTA_UVICORN_",
    "LETTA_LOGGING_", "LETTA_CLICKHOUSE_", "CLICKHOUSE_", "SIGNOZ_", "DD_", "POSTGRES_", "REDIS_",
    "OTEL_EXPORTER_", "PYTHON", "LD_",
)  # fmt: skip

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_LOOKING = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|ACCESS_?KEY|(API_?KEY|(^|_)(KEY|TOKEN|DSN))$", re.IGNORECASE
)
_CREDENTIALS_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """A broken rule, before it is known which command mends it."""

    key: str
    """Where to mend it, without namespace; a path such as `serverEnvironment.NAME` within an object."""
    rule: str
    involved: frozenset[str]
    """Keys that the rule looks at; it is not told while one of them is wrong by itself."""
    example: str | None = None
    """A value that would do; None for secrets, and where removing is the cure."""
    remove: bool = False
    """True where the cure is to take the key out."""


def violations(settings: Settings) -> Iterator[Violation]:
    """Every broken rule of a stack whose single values are good."""
    yield from _ports(settings)
    yield from _exposure(settings)
    yield from _certificate(settings)
    yield from _connections(settings)
    yield from _pinned_images(settings)
    yield from _credential_sets(settings)
    yield from _tls(settings)
    yield from _telemetry(settings)
    yield from _environment(settings)


def published_ports(settings: Settings) -> dict[str, int]:
    """The ports that the stack opens on the machine, by key: what runs decides which."""
    if settings.services is Services.DATA:
        return {"postgresPort": settings.postgres_port, "redisPort": settings.redis_port}
    return {
        "apiPort": settings.api_port,
        "otlpGrpcPort": settings.otlp_grpc_port,
        "otlpHttpPort": settings.otlp_http_port,
        "collectorHealthPort": settings.collector_health_port,
        "collectorMetricsPort": settings.collector_metrics_port,
    }


def _ports(settings: Settings) -> Iterator[Violation]:
    ports = published_ports(settings)
    first: dict[int, str] = {}
    for key, port in ports.items():
        other = first.setdefault(port, key)
        if other != key:
            yield Violation(
                key=key,
                rule=f"must differ from letta:{other}: two services cannot listen on one port",
                involved=frozenset({key, other}),
                example=str(_free_port(settings, key, taken=set(ports.values()))),
            )


def _free_port(settings: Settings, key: str, *, taken: set[int]) -> int:
    """A port near the key's default that no other service of the stack has."""
    field = next(field for field in type(settings).model_fields.values() if field.alias == key)
    port: int = field.default
    while port in taken:
        port += 1
    return port


def _exposure(settings: Settings) -> Iterator[Violation]:
    loopback = ipaddress.IPv4Address(settings.bind_address).is_loopback
    if settings.services is Services.DATA and not loopback:
        yield Violation(
            key="bindAddress",
            rule="must be a loopback address with services=data: Redis has no password",
            involved=frozenset({"bindAddress", "services"}),
            example="127.0.0.1",
        )


def _certificate(settings: Settings) -> Iterator[Violation]:
    if settings.otlp_host_name and not settings.require_tls:
        yield Violation(
            key="requireTls",
            rule="must be true with otlpHostName: without it there is no certificate that the name could be in",
            involved=frozenset({"otlpHostName", "requireTls"}),
            example="true",
        )


def _connections(settings: Settings) -> Iterator[Violation]:
    if settings.services is Services.DATA:
        return
    each = settings.letta_pool_size + settings.letta_pool_max_overflow
    # Twice: old and new servers run side by side in a rollout. Ten more for migration, roles, backup and people.
    needed = 2 * settings.letta_replicas * each + 10
    if needed > settings.postgres_max_connections:
        possible = needed <= 1000
        yield Violation(
            key="postgresMaxConnections" if possible else "lettaPoolSize",
            example=str(needed) if possible else "5",
            rule=(
                f"leaves the servers short of database connections: they need {needed} = 2 x lettaReplicas x "
                "(lettaPoolSize + lettaPoolMaxOverflow) + 10, and postgresMaxConnections must be at least that"
            ),
            involved=frozenset(
                {"postgresMaxConnections", "lettaReplicas", "lettaPoolSize", "lettaPoolMaxOverflow", "services"}
            ),
        )


def _pinned_images(settings: Settings) -> Iterator[Violation]:
    if not settings.pinned_images:
        return
    involved = frozenset({"pinnedImages", "services"})
    needed = DATA_IMAGES if settings.services is Services.DATA else ALL_IMAGES
    known = ALL_IMAGES
    for name, reference in sorted(settings.pinned_images.items()):
        if name not in known:
            yield Violation(
                key=f"pinnedImages.{name}",
                rule=f"is not an image of this platform: {', '.join(sorted(known))}",
                involved=involved,
                remove=True,
            )
        elif not re.fullmatch(r"[a-z0-9][^\s@]*@sha256:[0-9a-f]{64}", reference):
            yield Violation(
                key=f"pinnedImages.{name}",
                rule="must end in @sha256: and 64 hexadecimal digits: a tag can be moved to another image",
                involved=involved,
                example=f"registry.example/{name}@sha256:DIGEST",
            )
    for name in sorted(needed - settings.pinned_images.keys()):
        yield Violation(
            key=f"pinnedImages.{name}",
            rule="is missing: when letta:pinnedImages is set nothing is built, so it must name every image",
            involved=involved,
            example=f"registry.example/{name}@sha256:DIGEST",
        )


def _credential_sets(settings: Settings) -> Iterator[Violation]:
    pairs: tuple[tuple[str, str | None, str, object, str], ...] = (
        ("clickhouseEndpoint", settings.clickhouse_endpoint, "clickhousePassword", settings.clickhouse_password,
         "https://clickhouse.example:8443"),
        ("datadogSite", settings.datadog_site, "datadogApiKey", settings.datadog_api_key, "datadoghq.com"),
        ("signozEndpoint", settings.signoz_endpoint, "signozIngestionKey", settings.signoz_ingestion_key,
         "https://ingest.eu.signoz.cloud:443"),
        ("azureBaseUrl", settings.azure_base_url, "azureApiKey", settings.azure_api_key,
         "https://name.openai.azure.com"),
    )  # fmt: skip
    for destination, place_value, secret, secret_value, example in pairs:
        involved = frozenset({destination, secret})
        if place_value is not None and secret_value is None:
            yield Violation(
                key=secret,
                rule=f"is missing: letta:{destination} is set, and one needs the other",
                involved=involved,
            )
        if place_value is None and secret_value is not None:
            yield Violation(
                key=destination,
                rule=f"is missing: letta:{secret} is set, and one needs the other",
                involved=involved,
                example=example,
            )
    if (
        settings.azure_api_version is not None
        and settings.azure_base_url is None
        and settings.azure_api_key is None
    ):
        yield Violation(
            key="azureApiVersion",
            rule="is set without letta:azureBaseUrl and letta:azureApiKey",
            involved=frozenset({"azureApiVersion", "azureBaseUrl", "azureApiKey"}),
            remove=True,
        )


def _tls(settings: Settings) -> Iterator[Violation]:
    if not settings.require_tls:
        return
    endpoints = {
        "clickhouseEndpoint": (settings.clickhouse_endpoint, "https://clickhouse.example:8443"),
        "signozEndpoint": (settings.signoz_endpoint, "https://ingest.eu.signoz.cloud:443"),
    }
    for key, (endpoint, example) in endpoints.items():
        if endpoint is not None and urlsplit(endpoint).scheme != "https":
            yield Violation(
                key=key,
                rule="must start with https:// because letta:requireTls is true",
                involved=frozenset({key, "requireTls"}),
                example=example,
            )


def _telemetry(settings: Settings) -> Iterator[Violation]:
    if settings.services is Services.DATA:
        return
    places = frozenset({
        "clickhouseEndpoint", "clickhousePassword", "clickhouseUsername", "clickhouseDatabase",
        "datadogSite", "datadogApiKey", "signozEndpoint", "signozIngestionKey",
    })  # fmt: skip
    try:
        profile = telemetry.choice(settings).profile
    except otel.ConfigurationError as error:
        yield Violation(
            key="telemetryProfile",
            rule=f"cannot be had: {error}; taken out, the profile follows from what is set",
            involved=places | {"telemetryProfile"},
            remove=True,
        )
        return
    queue_budget = telemetry.queue_budget(settings)
    needed = -(-queue_budget.needed_bytes(otel.queues(profile)) // 1_000_000)
    if needed > settings.telemetry_queue_disk_mb:
        yield Violation(
            key="telemetryQueueDiskMb",
            rule=(
                f"does not suffice: the queues of profile {profile.name} need {needed} MB for "
                "telemetrySpansPerSecond x telemetrySpanBytes x telemetryOutageSeconds (docs/telemetry.md)"
            ),
            involved=places
            | {
                "telemetryProfile", "telemetryVariant", "telemetryQueueDiskMb",
                "telemetrySpansPerSecond", "telemetrySpanBytes", "telemetryOutageSeconds",
            },
            example=str(needed),
        )  # fmt: skip


def _environment(settings: Settings) -> Iterator[Violation]:
    for key, names in (
        ("serverEnvironment", settings.server_environment),
        ("serverSecrets", settings.server_secrets),
    ):
        for name in sorted(names):
            rule = _name_rule(name)
            if rule is not None:
                yield Violation(key=f"{key}.{name}", rule=rule, involved=frozenset({key}), remove=True)
    for name, value in sorted(settings.server_environment.items()):
        if _name_rule(name) is not None:
            continue
        key = f"serverEnvironment.{name}"
        involved = frozenset({"serverEnvironment", "serverSecrets"})
        if _SECRET_LOOKING.search(name) or _CREDENTIALS_IN_URL.search(value):
            yield Violation(
                key=key,
                rule=(
                    "looks like a secret, and letta:serverEnvironment is plain text: take it out, "
                    f"then store it encrypted as letta:serverSecrets.{name}"
                ),
                involved=involved,
                remove=True,
            )
        elif name in settings.server_secrets:
            yield Violation(
                key=key,
                rule="is in letta:serverSecrets, too: one of the two must go",
                involved=involved,
                remove=True,
            )
        if not value:
            yield Violation(
                key=key, rule="is empty: give it a value, or take it out", involved=involved, remove=True
            )
        if not value.replace("\t", "").isprintable():
            yield Violation(
                key=key,
                rule="must not contain control characters or line breaks",
                involved=involved,
                example="VALUE",
            )


def _name_rule(name: str) -> str | None:
    """Why a variable may not be set by hand; None if it may."""
    if not _VARIABLE.fullmatch(name):
        return "is not a name for an environment variable (letters, digits and _, no digit first)"
    upper = name.upper()  # the server reads its settings without regard to case
    if upper in _SETTING_OF:
        return f"has a setting of its own: use letta:{_SETTING_OF[upper]}"
    if upper in _RESERVED or upper.startswith(_RESERVED_PREFIXES):
        return "is set by the platform itself and cannot be given by hand"
    return None
