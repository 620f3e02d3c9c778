"""The collector's pipelines, derived from the profile's."""

from __future__ import annotations

import pytest

import otel
from tests.unit.otel.composed import composed

pytestmark = pytest.mark.unit


def test_clickhouse_and_datadog_have_queues_of_their_own() -> None:
    for version in otel.VERSIONS:
        names = set(composed("clickhouse-prod", version=version)["exporters"])
        assert {"clickhouse/traces", "clickhouse/metrics", "clickhouse/logs"} < names
        assert len(names) == 6


def test_datadogs_own_components_compute_statistics_for_datadog_alone() -> None:
    pipelines = composed("clickhouse-prod", version="0.96.0")["service"]["pipelines"]

    assert "datadog/connector" in pipelines["traces"]["exporters"]
    assert pipelines["traces/datadog"]["receivers"] == ["datadog/connector"]
    fed = [name for name, pipeline in pipelines.items() if "datadog/connector" in pipeline["receivers"]]
    assert fed == ["traces/datadog", "metrics/datadog"]
    for name in fed:
        assert all(exporter.startswith("datadog/") for exporter in pipelines[name]["exporters"])


def test_without_an_environment_the_senders_attributes_are_kept() -> None:
    assert "resource" not in otel.compose(otel.PROFILES["file-dev"])["processors"]


def test_redaction_can_be_disabled() -> None:
    config = composed("clickhouse", redaction=otel.Redaction.NOTHING)

    assert "transform/redaction" not in config["processors"]
