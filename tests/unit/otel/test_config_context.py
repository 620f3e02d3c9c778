"""What a configuration depends on: destinations and the queue budget."""

from __future__ import annotations

import pytest

import otel

pytestmark = pytest.mark.unit


def test_the_default_queue_budget_is_fifteen_minutes_of_a_thousand_spans_per_second_in_four_gigabytes() -> None:
    budget = otel.QueueBudget()
    prod = ("traces", "metrics", "logs") * 2

    assert budget.queue_bytes("traces") == 1_000 * 1_000 * 15 * 60
    assert budget.queue_bytes("logs") == budget.queue_bytes("metrics") == budget.queue_bytes("traces") // 4
    assert budget.needed_bytes(prod) <= 4_000_000_000


def test_an_empty_queue_budget_is_refused() -> None:
    with pytest.raises(otel.ConfigurationError, match="outage_seconds must be at least 1"):
        otel.QueueBudget(outage_seconds=0)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [("https://ch.example", "https://ch.example:8443"), ("http://ch:8123/", "http://ch:8123")],
)
def test_clickhouses_address_includes_its_port(endpoint: str, expected: str) -> None:
    assert otel.ClickHouse(endpoint=endpoint).address == expected


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "ch:8123", "tcp://ch:9000", "http://", "http://ch:x", "http://ch/db", "http://ch?a=1", "http://c h"),
        *("http://u:hunter22@ch", "http://u:hunter22", "http://ch/hunter22"),
    ],
)
def test_an_invalid_endpoint_is_refused_without_repeating_it(endpoint: str) -> None:
    with pytest.raises(otel.ConfigurationError) as error:
        otel.ClickHouse(endpoint=endpoint)

    assert "hunter22" not in str(error.value)


@pytest.mark.parametrize("database", ["", "my-db", 'a"b', "1a", "a.b", "a;drop"])
def test_a_database_name_that_would_need_quotes_is_refused(database: str) -> None:
    with pytest.raises(otel.ConfigurationError, match="database must consist of letters, digits and _"):
        otel.ClickHouse(endpoint="http://ch:8123", database=database)


@pytest.mark.parametrize("site", ["", "https://datadoghq.com", "datadoghq", "datadoghq.com/x"])
def test_a_datadog_site_that_is_no_host_name_is_refused(site: str) -> None:
    with pytest.raises(otel.ConfigurationError, match="site must be a name like datadoghq"):
        otel.Datadog(site=site)
