"""Which profile a collector gets, and the reason shown for it."""

from __future__ import annotations

import pytest

import otel
from otel.example import DESTINATIONS

pytestmark = pytest.mark.unit

NOTHING = otel.Destinations()
CLICKHOUSE = otel.Destinations(clickhouse=DESTINATIONS.clickhouse)
SIGNOZ = otel.Destinations(signoz=DESTINATIONS.signoz)
DATADOG = otel.Destinations(datadog=DESTINATIONS.datadog)
BOTH = otel.Destinations(clickhouse=DESTINATIONS.clickhouse, datadog=DESTINATIONS.datadog)


@pytest.mark.parametrize(
    ("destinations", "asked", "development", "expected"),
    [
        (NOTHING, None, True, "file-dev"),
        (NOTHING, None, False, "file"),
        (SIGNOZ, None, True, "signoz"),
        (SIGNOZ, None, False, "signoz"),
        (CLICKHOUSE, None, True, "clickhouse-dev"),
        (CLICKHOUSE, None, False, "clickhouse"),
        (BOTH, None, False, "clickhouse-prod"),
        (BOTH, None, True, "clickhouse-dev"),
        (DESTINATIONS, None, False, "clickhouse-prod"),
        (DATADOG, None, False, "file"),
        (CLICKHOUSE, "file", False, "file"),
        (BOTH, "clickhouse", False, "clickhouse"),
    ],
)
def test_a_named_profile_precedes_clickhouse_then_signoz_then_files(
    destinations: otel.Destinations, asked: str | None, development: bool, expected: str
) -> None:
    choice = otel.choose(profile=asked, development=development, destinations=destinations)

    assert choice.profile.name == expected
    assert choice.reason.startswith(f"{expected}: ")
    assert choice.reason.endswith(".")


@pytest.mark.parametrize(
    ("destinations", "asked", "message"),
    [
        (NOTHING, "clickhouse", "profile clickhouse needs ClickHouse, which is not configured"),
        (CLICKHOUSE, "clickhouse-prod", "profile clickhouse-prod needs Datadog, which is not configured"),
        (CLICKHOUSE, "signoz", "profile signoz needs SigNoz, which is not configured"),
        (NOTHING, "jaeger", "unknown telemetry profile 'jaeger': one of file-dev, file, clickhouse-dev,"),
    ],
)
def test_a_profile_without_its_destination_and_an_unknown_name_are_refused(
    destinations: otel.Destinations, asked: str, message: str
) -> None:
    with pytest.raises(otel.ConfigurationError) as error:
        otel.choose(profile=asked, development=False, destinations=destinations)

    assert str(error.value).startswith(message)
