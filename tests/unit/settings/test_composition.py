"""What a stack takes of the machine follows from what it runs."""

from __future__ import annotations

import pytest

import catalogue
from settings import SECRET_KEYS, Settings, load, memory_limits, published_ports, replicas
from settings.schema import fields

pytestmark = pytest.mark.unit

CLICKHOUSE = {"clickhouseEndpoint": "https://clickhouse.example", "clickhousePassword": "secret"}


def settings(**values: object) -> Settings:
    return load(values, [key for key in values if key in SECRET_KEYS], stack="dev")


def test_a_full_stack_runs_every_service() -> None:
    assert memory_limits(settings()) == {service.name: service.memory_mb for service in catalogue.SERVICES}


def test_a_stack_of_data_services_takes_nothing_for_the_others() -> None:
    data = settings(services="data", lettaReplicas=4, redisMemoryMb=200)
    assert memory_limits(data) == {"postgres": 512, "redis": 200}
    assert published_ports(data) == {"postgresPort": 5432, "redisPort": 6379}


def test_each_server_takes_its_own_memory() -> None:
    limits = memory_limits(settings(lettaReplicas=2, lettaMemoryMb=1000))
    assert limits["letta"] == 2000
    assert limits["postgres"] == 512


def test_two_collectors_run_only_where_the_profile_writes_no_files() -> None:
    files = settings(collectorReplicas=2)
    assert replicas(files)["collector"] == 1
    assert memory_limits(files)["collector"] == catalogue.COLLECTOR.memory_mb
    production = settings(collectorReplicas=2, telemetryVariant="production", **CLICKHOUSE)
    assert replicas(production)["collector"] == 2
    assert memory_limits(production)["collector"] == 2 * catalogue.COLLECTOR.memory_mb


def test_every_setting_that_the_catalogue_names_exists() -> None:
    for service in catalogue.SERVICES:
        named = {service.memory, *service.ports, *([service.replicas] if service.replicas else [])}
        assert named <= fields().keys()
