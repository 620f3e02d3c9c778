"""The configuration of single components."""

from __future__ import annotations

import pytest

import otel
from tests.unit.otel.composed import composed

pytestmark = pytest.mark.unit

FILE_DEV = otel.PROFILES["file-dev"]


def test_a_container_of_1366_mib_has_the_memory_limits_of_upstreams_original_configuration() -> None:
    limiter = otel.compose(FILE_DEV, memory_mib=1366)["processors"]["memory_limiter"]

    assert (limiter["limit_mib"], limiter["spike_limit_mib"]) == (1024, 256)


def test_the_log_level_is_that_of_the_collector_itself() -> None:
    assert otel.compose(FILE_DEV, level="debug")["service"]["telemetry"]["logs"]["level"] == "debug"


def test_an_old_collector_gets_a_metrics_address_and_no_unknown_keys() -> None:
    config = otel.compose(FILE_DEV, version="0.96.0")

    assert config["service"]["telemetry"]["metrics"] == {"level": "normal", "address": "0.0.0.0:8888"}
    assert all("create_directory" not in exporter for exporter in config["exporters"].values())


def test_every_signal_names_its_environment_and_stack() -> None:
    config = composed("clickhouse", device_id="abc")

    named = {entry["key"]: entry["value"] for entry in config["processors"]["resource"]["attributes"]}
    assert named == {"deployment.environment": "staging", "device.id": "abc"}
    assert all("resource" in pipeline["processors"] for pipeline in config["service"]["pipelines"].values())


def test_requests_are_limited_in_size_on_both_protocols() -> None:
    protocols = composed("file")["receivers"]["otlp"]["protocols"]

    assert protocols["grpc"]["max_recv_msg_size_mib"] == 16
    assert protocols["http"]["max_request_body_size"] == 16 * 1024 * 1024
