"""Rules that involve more than one key."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import catalogue
import otel
from settings import composition, environment_rules, telemetry
from settings.model import Settings
from settings.problems import Violation
from settings.schema import fields
from settings.values import is_image_reference

LARGEST_QUEUE_DISK_MB = 10_000_000
GEMINI = "https://generativelanguage.googleapis.com"


def violations(settings: Settings) -> Iterator[Violation]:
    """Yield every broken rule of a stack whose single values are valid."""
    yield from _ports(settings)
    yield from _exposure(settings)
    yield from _certificate(settings)
    yield from _connections(settings)
    yield from _pinned_images(settings)
    yield from _credential_sets(settings)
    yield from _tls(settings)
    yield from _telemetry(settings)
    yield from _without_effect(settings)
    yield from environment_rules.violations(settings)


def _ports(settings: Settings) -> Iterator[Violation]:
    ports = composition.published_ports(settings)
    first: dict[int, str] = {}
    for key, port in ports.items():
        other = first.setdefault(port, key)
        if other != key:
            yield Violation(
                key=key,
                rule=f"must differ from letta:{other}: two services cannot listen on one port",
                involved=frozenset({key, other}),
                example=str(_free_port(key, taken=set(ports.values()))),
            )


def _free_port(key: str, *, taken: set[int]) -> int:
    """Return a port near the key's default that no other service of the stack has."""
    port: int = fields()[key].default
    while port in taken:
        port += 1
    return port


def _exposure(settings: Settings) -> Iterator[Violation]:
    loopback = ipaddress.IPv4Address(settings.bind_address).is_loopback
    if settings.services is catalogue.Composition.DATA and not loopback:
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
            rule="must be true when letta:otlpHostName is set: without TLS there is no certificate with that name",
            involved=frozenset({"otlpHostName", "requireTls"}),
            example="true",
        )


def _connections(settings: Settings) -> Iterator[Violation]:
    if settings.services is catalogue.Composition.DATA:
        return
    each = settings.letta_pool_size + settings.letta_pool_max_overflow
    # Twice: old and new servers run at the same time in a rollout. Ten more for migration, roles, backup and psql.
    needed = 2 * settings.letta_replicas * each + 10
    if needed > settings.postgres_max_connections:
        key, example = _fewer_connections(settings) if needed > 1000 else ("postgresMaxConnections", needed)
        yield Violation(
            key=key,
            example=str(example),
            rule=(
                f"leaves the servers short of database connections: they need {needed} = 2 x lettaReplicas x "
                "(lettaPoolSize + lettaPoolMaxOverflow) + 10, and postgresMaxConnections must be at least that"
            ),
            involved=frozenset(
                {"postgresMaxConnections", "lettaReplicas", "lettaPoolSize", "lettaPoolMaxOverflow", "services"}
            ),
        )


def _fewer_connections(settings: Settings) -> tuple[str, int]:
    """Return the key to lower, and a value with which a database can have enough connections."""
    each = (1000 - 10) // (2 * settings.letta_replicas)
    pool = each - settings.letta_pool_max_overflow
    return ("lettaPoolSize", min(pool, 5)) if pool >= 1 else ("lettaPoolMaxOverflow", min(each - 5, 10))


def _pinned_images(settings: Settings) -> Iterator[Violation]:
    if not settings.pinned_images:
        return
    involved = frozenset({"pinnedImages", "services"})
    needed = catalogue.images(settings.services)
    known = catalogue.images(catalogue.Composition.ALL)
    for name, reference in sorted(settings.pinned_images.items()):
        if name not in known:
            yield Violation(
                key=f"pinnedImages.{name}",
                rule=f"is not an image of this platform: {', '.join(sorted(known))}",
                involved=involved,
                remove=True,
            )
        elif not re.search("@sha256:[0-9a-f]{64}$", reference):
            yield Violation(
                key=f"pinnedImages.{name}",
                rule="must end in @sha256: and 64 hexadecimal digits: a tag can be moved to another image",
                involved=involved,
                example=f"registry.example/{name}@sha256:DIGEST",
            )
        elif not is_image_reference(reference):
            yield Violation(
                key=f"pinnedImages.{name}",
                rule="must be an image reference before its digest, as in registry.example/letta@sha256:DIGEST",
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
    for address, address_value, secret, secret_value, example in pairs:
        involved = frozenset({address, secret})
        if address_value is not None and secret_value is None:
            yield Violation(
                key=secret,
                rule=f"is missing: letta:{address} is set, and one needs the other",
                involved=involved,
            )
        if address_value is None and secret_value is not None:
            yield Violation(
                key=address,
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
    if settings.services is catalogue.Composition.DATA:
        return
    destinations = frozenset({
        "clickhouseEndpoint", "clickhousePassword", "clickhouseUsername", "clickhouseDatabase",
        "datadogSite", "datadogApiKey", "signozEndpoint", "signozIngestionKey",
    })  # fmt: skip
    try:
        profile = telemetry.choice(settings).profile
    except otel.ConfigurationError as error:
        yield Violation(
            key="telemetryProfile",
            rule=f"cannot be used: {error}; without it, the profile is chosen from the destinations that are set",
            involved=destinations | {"telemetryProfile"},
            remove=True,
        )
        return
    queue_budget = telemetry.queue_budget(settings)
    needed = -(-queue_budget.needed_bytes(otel.queues(profile)) // 1_000_000)
    if needed > settings.telemetry_queue_disk_mb:
        # More than any disk may have cannot be advised.
        possible = needed <= LARGEST_QUEUE_DISK_MB
        seconds = max(settings.telemetry_outage_seconds * LARGEST_QUEUE_DISK_MB // needed, 1)
        is_wrong = "is too small" if possible else "asks for more than telemetryQueueDiskMb can be"
        yield Violation(
            key="telemetryQueueDiskMb" if possible else "telemetryOutageSeconds",
            rule=(
                f"{is_wrong}: the queues of profile {profile.name} need {needed} MB for "
                "telemetrySpansPerSecond x telemetrySpanBytes x telemetryOutageSeconds (docs/telemetry.md)"
            ),
            involved=destinations
            | {
                "telemetryProfile", "telemetryVariant", "telemetryQueueDiskMb",
                "telemetrySpansPerSecond", "telemetrySpanBytes", "telemetryOutageSeconds",
            },
            example=str(needed if possible else seconds),
        )  # fmt: skip


def _without_effect(settings: Settings) -> Iterator[Violation]:
    if settings.gemini_base_url not in {None, GEMINI}:
        yield Violation(
            key="geminiBaseUrl",
            rule=f"has no effect: this version of the server asks Gemini at {GEMINI} alone",
            involved=frozenset({"geminiBaseUrl"}),
            remove=True,
        )
