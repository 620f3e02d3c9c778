"""What the settings of telemetry say to `otel`: destinations, profile, size of the queues."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

import otel

if TYPE_CHECKING:
    from settings.model import Settings


def destinations(settings: Settings) -> otel.Destinations:
    """Give the destinations that are set; each is set as a whole (`settings.rules`)."""
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
    """Give the profile, and why it was chosen.

    Raises:
        otel.ConfigurationError: when the profile that is named needs a destination that is not set.
    """
    return otel.choose(
        profile=settings.telemetry_profile,
        development=settings.telemetry_variant == "development",
        destinations=destinations(settings),
    )


def receiver_security(settings: Settings) -> otel.ReceiverSecurity:
    """Give what clients must do: who publishes beyond this machine asks for a token."""
    loopback = ipaddress.IPv4Address(settings.bind_address).is_loopback
    return otel.ReceiverSecurity(tls=settings.require_tls, token=settings.otlp_token is not None or not loopback)


def queue_budget(settings: Settings) -> otel.QueueBudget:
    """Give what the queues of one collector are sized for."""
    return otel.QueueBudget(
        spans_per_second=settings.telemetry_spans_per_second,
        span_bytes=settings.telemetry_span_bytes,
        outage_seconds=settings.telemetry_outage_seconds,
        disk_bytes=settings.telemetry_queue_disk_mb * 1_000_000,
    )


def ca_bundle(settings: Settings) -> str | None:
    """Give the certificates, in PEM form, that destinations are trusted by beside the usual ones."""
    bundle = settings.telemetry_ca_bundle
    return bundle.read_text(encoding="utf-8", errors="replace") if bundle else None


def secrets(settings: Settings) -> Iterator[tuple[str, str]]:
    """Give each secret that is set: the name that `otel` has for it, and its value."""
    for name, value in (
        (otel.CLICKHOUSE_PASSWORD, settings.clickhouse_password),
        (otel.DATADOG_API_KEY, settings.datadog_api_key),
        (otel.SIGNOZ_INGESTION_KEY, settings.signoz_ingestion_key),
        (otel.OTLP_TOKEN, settings.otlp_token),
    ):
        if value is not None:
            yield name, value.get_secret_value()
