"""The telemetry settings in the terms of `otel`: destinations, profile, size of the queues."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import otel
from settings.model import Settings


def destinations(settings: Settings) -> otel.Destinations:
    """Return the destinations that are set; each is set completely (`settings.rules`)."""
    clickhouse = settings.clickhouse_endpoint and otel.ClickHouse(
        endpoint=settings.clickhouse_endpoint,
        database=settings.clickhouse_database,
        username=settings.clickhouse_username,
    )
    return otel.Destinations(
        clickhouse=clickhouse or None,
        datadog=otel.Datadog(site=settings.datadog_site) if settings.datadog_site else None,
        signoz=otel.SigNoz(endpoint=settings.signoz_endpoint) if settings.signoz_endpoint else None,
    )


def choice(settings: Settings) -> otel.Choice:
    """Return the profile, and why it was chosen.

    Raises:
        otel.ConfigurationError: when the named profile needs a destination that is not set; `settings.rules`
            refuses such settings.
    """
    return otel.choose(
        profile=settings.telemetry_profile,
        development=settings.telemetry_variant == "development",
        destinations=destinations(settings),
    )


def collector_replicas(settings: Settings) -> int:
    """Return the number of collectors: one where the profile writes files, since two would write two of each."""
    return 1 if choice(settings).profile.uses("file/traces") else settings.collector_replicas


def receiver_security(settings: Settings) -> otel.ReceiverSecurity:
    """Return what clients must do: a token is required where ports are published beyond this machine."""
    loopback = ipaddress.IPv4Address(settings.bind_address).is_loopback
    return otel.ReceiverSecurity(tls=settings.require_tls, token=settings.otlp_token is not None or not loopback)


def queue_budget(settings: Settings) -> otel.QueueBudget:
    """Return what the queues of one collector are sized for."""
    return otel.QueueBudget(
        spans_per_second=settings.telemetry_spans_per_second,
        span_bytes=settings.telemetry_span_bytes,
        outage_seconds=settings.telemetry_outage_seconds,
        disk_bytes=settings.telemetry_queue_disk_mb * 1_000_000,
    )


def ca_bundle(settings: Settings) -> str | None:
    """Return the certificates, in PEM form, by which destinations are trusted in addition to the usual ones."""
    bundle = settings.telemetry_ca_bundle
    return bundle.read_text(encoding="utf-8", errors="replace") if bundle else None


def secrets(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each secret that is set: its name in `otel`, and its value."""
    for name, value in (
        (otel.CLICKHOUSE_PASSWORD, settings.clickhouse_password),
        (otel.DATADOG_API_KEY, settings.datadog_api_key),
        (otel.SIGNOZ_INGESTION_KEY, settings.signoz_ingestion_key),
        (otel.OTLP_TOKEN, settings.otlp_token),
    ):
        if value is not None:
            yield name, value.get_secret_value()
