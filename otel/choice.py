"""Which profile a collector gets, from what is configured."""

from __future__ import annotations

from dataclasses import dataclass

from otel.config_context import Destinations
from otel.errors import ConfigurationError
from otel.profiles import CLICKHOUSE, CLICKHOUSE_DEV, CLICKHOUSE_PROD, FILE, FILE_DEV, PROFILES, SIGNOZ, Profile


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The profile, and why it was chosen (a sentence without any setting's value)."""

    profile: Profile
    reason: str


def choose(*, profile: str | None = None, development: bool, destinations: Destinations) -> Choice:
    """Choose as the seed's start scripts do: a name, else ClickHouse, else SigNoz, else files.

    `development` picks the variant; SigNoz has only one. A destination is whole here: whoever reads settings or
    variables refuses half of one.
    """
    clickhouse, datadog, signoz = (
        target is not None for target in (destinations.clickhouse, destinations.datadog, destinations.signoz)
    )
    if profile is not None:
        if profile not in PROFILES:
            raise ConfigurationError(f"unknown telemetry profile {profile!r}: one of {', '.join(PROFILES)}")
        chosen = PROFILES[profile]
        _refuse_what_lacks(chosen, {"clickhouse": clickhouse, "datadog": datadog, "otlp/signoz": signoz})
        return Choice(profile=chosen, reason=f"{profile}: it was asked for.")
    variant = "development" if development else "production"
    if clickhouse:
        if development:
            return _because(CLICKHOUSE_DEV, f"ClickHouse's endpoint and password are set; {variant} variant")
        if datadog:
            return _because(
                CLICKHOUSE_PROD,
                f"ClickHouse's endpoint and password and Datadog's site and key are set; {variant} variant",
            )
        return _because(CLICKHOUSE, f"ClickHouse's endpoint and password are set; {variant} variant")
    if signoz:
        return _because(SIGNOZ, "SigNoz' endpoint and ingestion key are set, and ClickHouse's are not")
    return _because(
        FILE_DEV if development else FILE, f"neither ClickHouse nor SigNoz is configured; {variant} variant"
    )


def _because(profile: Profile, reason: str) -> Choice:
    return Choice(profile=profile, reason=f"{profile.name}: {reason}.")


def _refuse_what_lacks(profile: Profile, there: dict[str, bool]) -> None:
    names = {"clickhouse": "ClickHouse", "otlp/signoz": "SigNoz", "datadog": "Datadog"}
    exporters = [exporter for pipeline in profile.pipelines for exporter in pipeline.exporters]
    missing = dict.fromkeys(names[name] for name in exporters if not there.get(name, True))
    if missing:
        raise ConfigurationError(f"profile {profile.name} needs {' and '.join(missing)}, which is not configured")
