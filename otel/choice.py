"""Which profile a stack gets, from what is configured."""

from __future__ import annotations

from dataclasses import dataclass

from otel.errors import ConfigurationError
from otel.profiles import CLICKHOUSE, CLICKHOUSE_DEV, CLICKHOUSE_PROD, FILE, FILE_DEV, PROFILES, SIGNOZ, Profile


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The profile, and why it was chosen (a sentence without any setting's value)."""

    profile: Profile
    reason: str


def choose(
    *,
    profile: str | None = None,
    development: bool,
    clickhouse_endpoint: bool = False,
    clickhouse_password: bool = False,
    signoz_endpoint: bool = False,
    signoz_key: bool = False,
    datadog_site: bool = False,
    datadog_key: bool = False,
) -> Choice:
    """Choose as the seed's start scripts do: a name, else ClickHouse, else SigNoz, else files.

    The flags say whether a setting is there, so no secret needs to be resolved for it. `development` picks the
    variant; SigNoz has only one. Half of a destination is refused, never taken for none.
    """
    halves = {
        "ClickHouse": {"endpoint": clickhouse_endpoint, "password": clickhouse_password},
        "SigNoz": {"endpoint": signoz_endpoint, "ingestion key": signoz_key},
        "Datadog": {"site": datadog_site, "API key": datadog_key},
    }
    for name, parts in halves.items():
        if any(parts.values()) and not all(parts.values()):
            there = " and ".join(part for part, is_set in parts.items() if is_set)
            missing = " and ".join(part for part, is_set in parts.items() if not is_set)
            raise ConfigurationError(f"{name}'s {there} is set, but its {missing} is not")
    if profile is not None:
        if profile not in PROFILES:
            raise ConfigurationError(f"unknown telemetry profile {profile!r}: one of {', '.join(PROFILES)}")
        chosen = PROFILES[profile]
        _refuse_what_lacks(chosen, {name: all(parts.values()) for name, parts in halves.items()})
        return Choice(profile=chosen, reason=f"{profile}: it was asked for.")
    variant = "development" if development else "production"
    if clickhouse_endpoint:
        if development:
            return _because(CLICKHOUSE_DEV, f"ClickHouse's endpoint and password are set; {variant} variant")
        if datadog_site:
            return _because(
                CLICKHOUSE_PROD,
                f"ClickHouse's endpoint and password and Datadog's site and key are set; {variant} variant",
            )
        return _because(CLICKHOUSE, f"ClickHouse's endpoint and password are set; {variant} variant")
    if signoz_endpoint:
        return _because(SIGNOZ, "SigNoz' endpoint and ingestion key are set, and ClickHouse's are not")
    return _because(
        FILE_DEV if development else FILE, f"neither ClickHouse nor SigNoz is configured; {variant} variant"
    )


def _because(profile: Profile, reason: str) -> Choice:
    return Choice(profile=profile, reason=f"{profile.name}: {reason}.")


def _refuse_what_lacks(profile: Profile, there: dict[str, bool]) -> None:
    needs = {"clickhouse": "ClickHouse", "otlp/signoz": "SigNoz", "datadog": "Datadog"}
    exporters = [exporter for pipeline in profile.pipelines for exporter in pipeline.exporters]
    missing = dict.fromkeys(needs[name] for name in exporters if name in needs and not there[needs[name]])
    if missing:
        raise ConfigurationError(f"profile {profile.name} needs {' and '.join(missing)}, which is not configured")
