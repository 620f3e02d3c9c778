"""Reading the servers' log files."""

from __future__ import annotations

import pytest

import otel
from tests.unit.otel.composed import composed

pytestmark = pytest.mark.unit


def test_a_collector_reads_only_its_own_log_folders() -> None:
    config = composed("clickhouse", log_directories=("replica-2",))

    assert config["receivers"]["filelog/letta"]["include"] == ["/var/log/letta/replica-2/Letta.log*"]
    assert config["receivers"]["filelog/letta"]["storage"] == "file_storage"


def test_a_collector_without_log_folders_reads_no_files_and_still_receives_logs() -> None:
    for version in otel.VERSIONS:
        config = composed("clickhouse-prod", version=version, log_directories=())

        assert "filelog/letta" not in config["receivers"]
        logs = [one for name, one in config["service"]["pipelines"].items() if name.startswith("logs")]
        assert all(one["receivers"] == ["otlp"] for one in logs)
