"""Chooses a collector's profile from the destinations that are configured."""

from __future__ import annotations

from dataclasses import dataclass

from otel.config_context import Destinations
from otel.errors import ConfigurationError
from otel.profiles import CLICKHOUSE, CLICKHOUSE_DEV, CLICKHOUSE_PROD, FILE, FILE_DEV, PROFILES, SIGNOZ, Profile


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A profile, and why it was chosen (a sentence without the value of any setting)."""

    profile: Profile
    reason: str


def choose(*, profile: str | None = None, development: bool, destinations: Destinations) -> Choice:
    """Return the profile named, else the first that has its destination: ClickHouse, SigNoz, files.

    This is the order of upstream's original start scripts. `development` selects the variant; SigNoz has only one.
    A destination is complete: its endpoint and its secret are set, which is checked where settings or environment
    variables are read.

    Raises:
        ConfigurationError: when the profile is unknown, or needs a destination that is not configured.
    """
    clickhouse = destinations.clickhouse is not None
    datadog = destinations.datadog is not None
    signoz = destinations.signoz is not None
    if profile is not None:
        if profile not in PROFILES:
            raise ConfigurationError(f"unknown telemetry profile {profile!r}: one of {', '.join(PROFILES)}")
        chosen = PROFILES[profile]
        _require_destinations(chosen, {"clickhouse": clickhouse, "datadog": datadog, "otlp/signoz": signoz})
        return Choice(profile=chosen, reason=f"{profile}: set explicitly.")
    variant = "development" if development else "production"
    if clickhouse:
        if development:
            return _choice(CLICKHOUSE_DEV, f"ClickHouse's endpoint and password are set; {variant} variant")
        if datadog:
            return _choice(
                CLICKHOUSE_PROD,
                f"ClickHouse's endpoint and password and Datadog's site and key are set; {variant} variant",
            )
        return _choice(CLICKHOUSE, f"ClickHouse's endpoint and password are set; {variant} variant")
    if signoz:
        return _choice(SIGNOZ, "SigNoz's endpoint and ingestion key are set, and ClickHouse's are not")
    return _choice(
        FILE_DEV if development else FILE, f"neither ClickHouse nor SigNoz is configured; {variant} variant"
    )


def _choice(profile: Profile, reason: str) -> Choice:
    return Choice(profile=profile, reason=f"{profile.name}: {reason}.")


def _require_destinations(profile: Profile, configured: dict[str, bool]) -> None:
    names = {"clickhouse": "ClickHouse", "otlp/signoz": "SigNoz", "datadog": "Datadog"}
    exporters = [exporter for pipeline in profile.pipelines for exporter in pipeline.exporters]
    missing = dict.fromkeys(names[name] for name in exporters if not configured.get(name, True))
    if missing:
        raise ConfigurationError(f"profile {profile.name} needs {' and '.join(missing)}, which is not configured")
