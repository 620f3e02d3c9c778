"""Addresses and folders of a collector."""

from __future__ import annotations

import pytest

import otel
from tests.unit.otel.composed import composed

pytestmark = pytest.mark.unit


def test_a_collector_without_a_container_uses_the_addresses_and_folders_of_its_layout() -> None:
    layout = otel.ListenLayout(
        address="127.0.0.1",
        grpc_port=1,
        http_port=2,
        health_port=3,
        metrics_port=4,
        data_directory="/here/data",
        secrets_directory="/here/secrets",
        log_directory="/here/logs",
    )
    for version in otel.VERSIONS:
        text = otel.render(composed("clickhouse-prod", version=version, layout=layout))

        assert "0.0.0.0" not in text  # noqa: S104
        assert "/var/" not in text
        assert "/run/" not in text


@pytest.mark.parametrize("folder", ["relative", "/with/${env:HOME}", "/with/*", "/with}"])
def test_a_folder_that_the_collector_would_expand_is_refused(folder: str) -> None:
    with pytest.raises(otel.ConfigurationError, match="absolute path"):
        otel.ListenLayout(data_directory=folder)
