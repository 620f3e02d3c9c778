"""Exporters: queues, retries, and how each backend is addressed."""

from __future__ import annotations

from typing import Any

import pytest

import otel
from tests.unit.otel.composed import composed

pytestmark = pytest.mark.unit

NETWORK_PROFILES = [name for name, profile in otel.PROFILES.items() if profile.keeps_queues]


def exporters_with_queues(config: dict[str, Any]) -> dict[str, Any]:
    return {name: exporter for name, exporter in config["exporters"].items() if not name.startswith("file/")}


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("name", NETWORK_PROFILES)
def test_network_exporters_queue_on_disk_and_retry_forever(name: str, version: str) -> None:
    config = composed(name, version=version)

    assert config["extensions"]["file_storage"]["fsync"] is True
    queued = exporters_with_queues(config)
    assert queued
    for exporter in queued.values():
        assert exporter["sending_queue"]["storage"] == "file_storage"
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


@pytest.mark.parametrize("name", NETWORK_PROFILES)
def test_no_batch_processor_precedes_a_queue_that_can_batch(name: str) -> None:
    config = composed(name)

    assert "batch" not in config["processors"]
    for exporter in exporters_with_queues(config).values():
        assert exporter["sending_queue"]["sizer"] == "bytes"
        assert exporter["sending_queue"]["batch"]["min_size"] <= exporter["sending_queue"]["batch"]["max_size"]


@pytest.mark.parametrize("name", NETWORK_PROFILES)
def test_an_old_collector_batches_before_the_queue_and_limits_requests(name: str) -> None:
    config = composed(name, version="0.96.0")

    for pipeline in config["service"]["pipelines"].values():
        assert pipeline["processors"][-1].split("/")[0] == "batch"
    for exporter in exporters_with_queues(config).values():
        assert set(exporter["sending_queue"]) == {"enabled", "storage", "num_consumers", "queue_size"}


def test_components_with_queues_and_offsets_have_the_same_names_in_all_versions() -> None:
    old, new = (composed("clickhouse", version=version) for version in ("0.96.0", "0.149.0"))

    assert set(old["exporters"]) == set(new["exporters"])
    assert set(old["receivers"]) == set(new["receivers"])
    assert old["extensions"]["file_storage"]["directory"] == new["extensions"]["file_storage"]["directory"]


def test_versions_with_the_option_do_not_create_clickhouses_tables() -> None:
    new, old = (composed("clickhouse", version=version) for version in ("0.149.0", "0.96.0"))

    assert new["exporters"]["clickhouse/logs"]["create_schema"] is False
    assert "create_schema" not in old["exporters"]["clickhouse/logs"]
    assert any(
        "create ClickHouse's tables itself" in text
        for text in otel.limitations(otel.PROFILES["clickhouse"], version="0.96.0")
    )


@pytest.mark.parametrize(
    ("endpoint", "plain", "address"),
    [
        ("https://ingest.eu.signoz.cloud:443", False, "ingest.eu.signoz.cloud:443"),
        ("https://signoz.example", False, "signoz.example:443"),
        ("http://signoz:4317", True, "signoz:4317"),
        ("http://[fd00::1]:4317", True, "[fd00::1]:4317"),
    ],
)
def test_signoz_is_reached_over_tls_unless_its_endpoint_is_http(endpoint: str, plain: bool, address: str) -> None:
    config = composed("signoz", destinations=otel.Destinations(signoz=otel.SigNoz(endpoint=endpoint)))

    exporter = config["exporters"]["otlp/signoz-traces"]
    assert exporter["endpoint"] == address
    assert exporter.get("tls", {}).get("insecure", False) is plain


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("clickhouse", "ClickHouse's endpoint"),
        ("signoz", "SigNoz's endpoint"),
        ("clickhouse-prod", "ClickHouse's"),
    ],
)
def test_a_profile_without_its_destination_is_refused(name: str, needs: str) -> None:
    with pytest.raises(otel.ConfigurationError, match=f"profile {name} needs {needs}"):
        otel.compose(otel.PROFILES[name])


def test_without_datadogs_components_otlp_is_sent_to_the_site() -> None:
    config = composed("clickhouse-prod")

    assert config["exporters"]["otlp_http/datadog-traces"]["endpoint"] == "https://otlp.datadoghq.eu"
    assert "connectors" not in config
