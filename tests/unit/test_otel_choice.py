"""Which profile a stack gets, and what it is told about it."""

from __future__ import annotations

from typing import Any

import pytest

import otel

pytestmark = pytest.mark.unit

CLICKHOUSE = {"clickhouse_endpoint": True, "clickhouse_password": True}
SIGNOZ = {"signoz_endpoint": True, "signoz_key": True}
DATADOG = {"datadog_site": True, "datadog_key": True}


@pytest.mark.parametrize(
    ("settings", "development", "expected"),
    [
        ({}, True, "file-dev"),
        ({}, False, "file"),
        (SIGNOZ, True, "signoz"),
        (SIGNOZ, False, "signoz"),
        (CLICKHOUSE, True, "clickhouse-dev"),
        (CLICKHOUSE, False, "clickhouse"),
        (CLICKHOUSE | SIGNOZ, False, "clickhouse"),
        (CLICKHOUSE | DATADOG, False, "clickhouse-prod"),
        (CLICKHOUSE | DATADOG, True, "clickhouse-dev"),
        (DATADOG, False, "file"),
        (CLICKHOUSE | {"profile": "file"}, False, "file"),
        (CLICKHOUSE | DATADOG | {"profile": "clickhouse"}, False, "clickhouse"),
    ],
)
def test_a_name_comes_before_clickhouse_before_signoz_before_files(
    settings: dict[str, Any], development: bool, expected: str
) -> None:
    choice = otel.choose(development=development, **settings)

    assert choice.profile.name == expected
    assert choice.reason.startswith(f"{expected}: ")
    assert choice.reason.endswith(".")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clickhouse_endpoint": True}, "ClickHouse's endpoint is set, but its password is not"),
        ({"clickhouse_password": True}, "ClickHouse's password is set, but its endpoint is not"),
        ({"signoz_endpoint": True}, "SigNoz's endpoint is set, but its ingestion key is not"),
        ({"datadog_key": True}, "Datadog's API key is set, but its site is not"),
        ({"profile": "clickhouse"}, "profile clickhouse needs ClickHouse, which is not configured"),
        (
            {"profile": "clickhouse-prod", **CLICKHOUSE},
            "profile clickhouse-prod needs Datadog, which is not configured",
        ),
        ({"profile": "jaeger"}, "unknown telemetry profile 'jaeger': one of file-dev, file, clickhouse-dev,"),
    ],
)
def test_half_a_destination_and_an_unknown_name_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(otel.ConfigurationError) as error:
        otel.choose(development=False, **settings)

    assert str(error.value).startswith(message)
