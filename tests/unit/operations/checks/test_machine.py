"""What the doctor finds on the machine and its engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import catalogue
from operations.checks import machine
from operations.checks.result import CheckState
from operations.engine.protocol import EngineFacts
from settings import SECRET_KEYS, Settings, load
from testbed.fake_engine import FakeEngine, engine_facts

pytestmark = pytest.mark.unit

GB = 1_000_000_000
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLICKHOUSE = {"clickhouseEndpoint": "https://clickhouse.example", "clickhousePassword": "secret"}


def _facts(**changes: object) -> EngineFacts:
    return engine_facts(**{"cpus": 2, "memory": 8 * GB, **changes})


def _settings(**values: object) -> Settings:
    return load(values, [key for key in values if key in SECRET_KEYS], stack="dev")


def test_an_absent_engine_is_broken_with_the_reason_and_ways_to_start_it() -> None:
    check = machine.engine_check(None, None, "unix:///x: Permission denied")
    assert check.state is CheckState.BROKEN
    assert "Permission denied" in check.detail
    assert any("usermod" in step for step in check.fix)


@pytest.mark.parametrize(
    ("version", "state"),
    [("20.10.24+dfsg1", CheckState.OK), ("26.1.5", CheckState.OK), ("19.03.1", CheckState.BROKEN)],
)
def test_an_engine_that_is_too_old_is_broken(version: str, state: CheckState) -> None:
    assert machine.engine_check(FakeEngine(), _facts(version=version)).state is state


@pytest.mark.parametrize(
    ("free", "state"), [(1 * GB, CheckState.BROKEN), (5 * GB, CheckState.NOTE), (50 * GB, CheckState.OK)]
)
def test_disk_is_broken_noted_or_enough(tmp_path: Path, free: int, state: CheckState) -> None:
    check = machine.disk_check("disk", tmp_path / "not" / "there" / "yet", free=free)
    assert check.state is state
    assert str(tmp_path) in check.detail


def test_memory_is_compared_with_what_the_services_may_take() -> None:
    assert machine.memory_check(_settings(), 8 * GB, None).state is CheckState.OK
    assert machine.memory_check(_settings(lettaMemoryMb=16384), 8 * GB, None).state is CheckState.NOTE
    assert machine.memory_check(_settings(), 1 * GB, None).state is CheckState.BROKEN


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"lettaMemoryMb": 4096}, CheckState.OK),
        ({"lettaMemoryMb": 4096, "lettaReplicas": 2}, CheckState.NOTE),
        ({"lettaMemoryMb": 4096, "lettaReplicas": 2, "services": "data"}, CheckState.OK),
        # The profile of a development stack writes files, and so has one collector.
        ({"collectorReplicas": 2, "collectorMemoryMb": 4096}, CheckState.OK),
        (
            {"collectorReplicas": 2, "collectorMemoryMb": 4096, "telemetryVariant": "production", **CLICKHOUSE},
            CheckState.NOTE,
        ),
    ],
    ids=["a server", "servers", "data services", "a collector that writes files", "collectors"],
)
def test_memory_follows_what_the_stack_runs(values: dict[str, object], state: CheckState) -> None:
    assert machine.memory_check(_settings(**values), 8 * GB, None).state is state


@pytest.mark.parametrize(
    ("values", "key", "fix"),
    [
        ({"lettaCpus": 3}, "lettaCpus", "pulumi config set letta:lettaCpus 2 --stack dev"),
        ({"nginxCpus": 2.1}, "nginxCpus", "pulumi config set letta:nginxCpus 2 --stack dev"),
        ({"postgresCpus": 1024, "services": "data"}, "postgresCpus", "letta:postgresCpus 2 --stack dev"),
        ({"postgresMemoryMb": 32_000}, "postgresMemoryMb", "letta:postgresMemoryMb 3814 --stack dev"),
    ],
)
def test_a_limit_that_the_engine_cannot_grant_is_broken_with_key_and_fix(
    values: dict[str, object], key: str, fix: str
) -> None:
    (check,) = machine.limit_checks("dev", _settings(**values), _facts())
    assert check.state is CheckState.BROKEN
    assert f"letta:{key} " in check.detail
    assert fix in check.fix[0]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"lettaCpus": 2, "nginxCpus": 0.1},
        # Of services that do not run.
        {"lettaCpus": 3, "services": "data"},
        # The engine takes these; `memory_check` notes them.
        {"lettaMemoryMb": 100_000},
        {"postgresMemoryMb": 16_000},
    ],
)
def test_limits_within_the_engine_are_none_of_its_troubles(values: dict[str, object]) -> None:
    assert machine.limit_checks("dev", _settings(**values), _facts()) == ()


def test_the_wanted_ports_are_those_that_the_stack_publishes() -> None:
    found = {one.key: one.port for one in machine.wanted_ports(_settings(apiPort=9000))}
    assert set(found) == set(catalogue.published_ports(catalogue.Composition.ALL))
    assert (found["apiPort"], found["otlpGrpcPort"], found["collectorMetricsPort"]) == (9000, 4317, 8888)
    data = machine.wanted_ports(_settings(services="data", redisPort=7000))
    assert {one.key: one.port for one in data} == {"postgresPort": 5432, "redisPort": 7000}
    assert {one.address for one in machine.wanted_ports(_settings(bindAddress="127.0.0.2"))} == {"127.0.0.2"}


def test_a_clock_that_is_off_is_broken_and_says_by_how_much() -> None:
    check = machine.clock_check(NOW, [("near", NOW), ("far", NOW + timedelta(seconds=90))])
    assert check.state is CheckState.BROKEN
    assert "90 s behind far" in check.detail
    assert machine.clock_check(NOW, [("near", NOW + timedelta(seconds=3))]).state is CheckState.OK
    assert machine.clock_check(NOW, []).state is CheckState.UNKNOWN


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05.123456789Z", "2026-01-02T05:04:05.123456789+02:00"])
def test_the_engines_clock_is_read_to_the_second(text: str) -> None:
    assert machine.engine_time(_facts(time=text)) == NOW


def test_a_clock_that_cannot_be_read_is_no_clock() -> None:
    assert machine.engine_time(_facts(time="")) is None
