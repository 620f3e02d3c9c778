"""What the platform's services promise, whichever runtime runs them: the program on a runtime in memory."""

from __future__ import annotations

from pathlib import Path

import annotated_types
import pytest

import catalogue
from catalogue import Composition
from runtime import HostFolder, Mount, Rollout
from settings.schema import fields
from testbed.memory_runtime import MemoryRuntime
from tests.unit.conftest import Described

pytestmark = pytest.mark.unit

STACKS = ("dev", "staging", "prod")
JOBS = {"roles", "migration", "route", "collector-validation"}
CLICKHOUSE = {
    "letta:clickhouseEndpoint": "https://clickhouse.example",
    "letta:clickhousePassword": "click$house",
    "letta:telemetryVariant": "production",
    "letta:collectorReplicas": "2",
    "letta:lettaReplicas": "2",
    "letta:postgresMaxConnections": "200",
}
SECRET = ("letta:clickhousePassword",)
EVERYTHING = [
    pytest.param(stack, settings, id=f"{stack}-{'clickhouse' if settings else 'committed'}")
    for stack in STACKS
    for settings in ({}, CLICKHOUSE)
]


def volumes(runtime: MemoryRuntime, service: str) -> set[object]:
    """Return the names of the volumes that a service mounts."""
    return {mount.volume.name for mount in runtime.services[service].spec.mounts if isinstance(mount, Mount)}


def members(runtime: MemoryRuntime, network: str) -> set[str]:
    """Return the services that are attached to a network."""
    return {
        name
        for name, one in runtime.services.items()
        if network in {attachment.network for attachment in one.spec.networks}
    }


@pytest.mark.parametrize(
    ("stack", "more"),
    [("dev", set()), ("staging", {"otlp-certificates"}), ("prod", {"otlp-certificates"})],
    ids=STACKS,
)
def test_every_committed_stack_has_all_services(described: Described, stack: str, more: set[str]) -> None:
    services = {one.spec.service for one in described(stack).services.values()}
    expected = {service.name for service in catalogue.services(Composition.ALL)} | JOBS
    assert services == expected | more


@pytest.mark.parametrize(("stack", "settings"), EVERYTHING)
def test_only_jobs_run_without_a_health_check(described: Described, stack: str, settings: dict[str, str]) -> None:
    for name, one in described(stack, SECRET, **settings).services.items():
        assert (one.spec.health is None) == (one.spec.rollout is Rollout.JOB), name


@pytest.mark.parametrize(("stack", "settings"), EVERYTHING)
def test_a_service_that_owns_data_or_a_port_stops_before_its_successor_starts(
    described: Described, stack: str, settings: dict[str, str]
) -> None:
    runtime = described(stack, SECRET, **settings)
    for name, one in runtime.services.items():
        written = {
            mount.volume.name
            for mount in one.spec.mounts
            if isinstance(mount, Mount) and not mount.read_only and runtime.volumes[str(mount.volume.name)].is_data
        }
        # Servers share the volume with their log files; each replica has a folder of its own.
        if one.spec.ports or written - {f"letta-{stack}-logs"}:
            assert one.spec.rollout is Rollout.STOP_FIRST, name


def test_a_new_server_is_healthy_before_the_old_one_is_drained(described: Described) -> None:
    spec = described().services["letta-dev-server"].spec
    assert spec.rollout is Rollout.ROLLING
    assert (spec.stop_signal, spec.drain_seconds) == ("SIGINT", 60)


@pytest.mark.parametrize(
    ("service", "signal", "seconds"),
    [("postgres", "SIGINT", 60), ("redis", "SIGTERM", 10), ("nginx", "SIGQUIT", 30), ("collector", "SIGTERM", 30)],
)
def test_what_must_not_be_killed_has_time_to_stop(
    described: Described, service: str, signal: str, seconds: int
) -> None:
    spec = described().services[f"letta-dev-{service}"].spec
    assert (spec.stop_signal, spec.drain_seconds) == (signal, seconds)


@pytest.mark.parametrize("service", catalogue.SERVICES, ids=lambda service: service.name)
def test_services_run_with_the_user_and_limits_of_the_catalogue(
    described: Described, service: catalogue.Service
) -> None:
    name = "server" if service is catalogue.LETTA else service.name
    usual = described().services[f"letta-dev-{name}"].spec
    limited = described(**{f"letta:{service.memory}": "2048", f"letta:{service.name}Cpus": "1.5"})

    assert usual.service == service.name
    assert usual.user == service.user
    assert (usual.limits.memory_mb, usual.limits.cpus) == (service.memory_mb, None)
    assert limited.services[f"letta-dev-{name}"].spec.limits.memory_mb == 2048
    assert limited.services[f"letta-dev-{name}"].spec.limits.cpus == 1.5


@pytest.mark.parametrize(("stack", "settings"), EVERYTHING)
def test_every_stack_has_all_data_volumes_of_the_catalogue_and_no_others(
    described: Described, stack: str, settings: dict[str, str]
) -> None:
    volumes = described(stack, SECRET, **settings).volumes
    assert {name for name, one in volumes.items() if one.is_data} == set(catalogue.data_volumes(stack))


def test_every_data_volume_of_the_catalogue_is_mounted_by_some_stack(described: Described) -> None:
    runtimes = described(), described("dev", SECRET, **CLICKHOUSE)
    mounted = {name for runtime in runtimes for service in runtime.services for name in volumes(runtime, service)}
    assert set(catalogue.data_volumes("dev")) <= mounted


def test_there_is_a_queue_for_each_collector_that_a_stack_may_have() -> None:
    (most,) = [rule.le for rule in fields()["collectorReplicas"].metadata if isinstance(rule, annotated_types.Le)]
    assert len(catalogue.QUEUES) == most


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_protected_stacks_protect_all_their_data(described: Described, stack: str) -> None:
    volumes = described(stack, SECRET, **CLICKHOUSE).volumes
    assert f"letta-{stack}-postgres-data" in volumes
    assert {one.protect for one in volumes.values() if one.is_data} == {True}
    assert not any(one.protect for one in described("dev", SECRET, **CLICKHOUSE).volumes.values())


# -- networks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", STACKS)
def test_only_services_of_the_catalogue_publish_ports(described: Described, stack: str) -> None:
    published = [
        (one.spec.service, len(one.spec.ports)) for one in described(stack).services.values() if one.spec.ports
    ]
    assert sorted(published) == sorted(
        (service.name, len(service.ports))
        for service in catalogue.SERVICES
        if service.ports and Composition.ALL in service.publishes_with
    )


def test_databases_publish_no_port_where_a_server_runs() -> None:
    published = set(catalogue.published_ports(Composition.ALL))
    assert not published & {*catalogue.POSTGRES.ports, *catalogue.REDIS.ports}


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_is_published_beyond_the_bind_address(described: Described, stack: str) -> None:
    for one in described(stack).services.values():
        assert {port.address for port in one.spec.ports} <= {"127.0.0.1"}


def test_the_data_tier_holds_only_servers_jobs_and_databases(described: Described) -> None:
    assert members(described(), "letta-dev-data") == {
        "letta-dev-postgres", "letta-dev-redis", "letta-dev-migration", "letta-dev-server",
    }  # fmt: skip


def test_tiers_between_services_have_no_route_to_the_outside(described: Described) -> None:
    networks = described().networks
    internal = {name for name, one in networks.items() if one.internal}
    assert internal == {"letta-dev-app", "letta-dev-data", "letta-dev-telemetry"}
    assert len(networks) == 6


def test_the_database_can_be_administered_by_jobs_alone(described: Described) -> None:
    runtime = described()
    holders = {name for name in runtime.services if "letta-dev-postgres-socket" in volumes(runtime, name)}
    assert holders == {"letta-dev-postgres", "letta-dev-postgres-roles"}


def test_data_services_are_published_without_anything_else(described: Described) -> None:
    services = described(services="data").services
    assert set(services) == {"letta-dev-postgres", "letta-dev-postgres-roles", "letta-dev-redis"}
    published = {name: one.spec.ports[0].external for name, one in services.items() if one.spec.ports}
    assert published == {"letta-dev-postgres": 5432, "letta-dev-redis": 6379}


# -- secrets --------------------------------------------------------------------------------------------


def test_a_providers_key_reaches_the_server_and_nothing_else(described: Described) -> None:
    runtime = described(secret=("openaiApiKey",), openaiApiKey="sk-canary-canary")
    carriers = {name for name in runtime.bundles if "sk-canary-canary" in runtime.contents(name).values()}
    assert carriers == {"letta-dev-server-secrets"}
    mounted_by = {
        name
        for name, one in runtime.services.items()
        if "letta-dev-server-secrets" in {files.name for files in one.spec.files}
    }
    assert mounted_by == {"letta-dev-server"}
    assert "sk-canary-canary" not in str([one.spec for one in runtime.services.values()])


@pytest.mark.parametrize(("stack", "settings"), EVERYTHING)
def test_secrets_are_in_bundles_of_files_and_in_no_other_part_of_a_service(
    described: Described, stack: str, settings: dict[str, str]
) -> None:
    runtime = described(stack, SECRET, **settings)
    for name, one in runtime.services.items():
        assert not one.shows_secrets, name
        assert "generated-" not in str(one.spec), name
    assert any("generated-" in str(runtime.contents(name)) for name in runtime.bundles)


@pytest.mark.parametrize(("stack", "settings"), EVERYTHING)
def test_files_belong_to_the_services_that_mount_them(
    described: Described, stack: str, settings: dict[str, str]
) -> None:
    runtime = described(stack, SECRET, **settings)
    for name, one in runtime.services.items():
        for files in one.spec.files:
            assert runtime.bundles[str(files.name)].owner == one.spec.user, (name, files.name)


def test_a_new_generation_moves_servers_to_the_other_login_role(described: Described) -> None:
    def uri(generation: int) -> str:
        runtime = described(databaseCredentialGeneration=generation)
        return runtime.contents("letta-dev-server-secrets")["/run/secrets/LETTA_PG_URI"]

    assert uri(1).startswith("postgresql://letta_a:")
    assert uri(2).startswith("postgresql://letta_b:")
    assert uri(3).startswith("postgresql://letta_a:")


# -- order ----------------------------------------------------------------------------------------------


def test_a_new_database_gets_roles_and_schema_again(described: Described) -> None:
    services = described().services
    for job in ("letta-dev-postgres-roles", "letta-dev-migration"):
        assert services[job].replace_with == ("letta-dev-postgres-data",)


def test_the_image_s_server_starts_at_the_same_time_as_the_migration(described: Described) -> None:
    server = described().services["letta-dev-server"]
    assert server.spec.startup_gate is not None
    assert server.spec.startup_gate.job == "migration"
    assert "letta-dev-migration" not in server.depends_on


def test_a_server_that_runs_a_source_checkout_starts_after_the_migration(
    described: Described, tmp_path: Path
) -> None:
    (tmp_path / "letta").mkdir()
    (tmp_path / "letta" / "__init__.py").touch()
    server = described(sourceDirectory=str(tmp_path)).services["letta-dev-server"]
    assert HostFolder(source=str(tmp_path), path="/source") in server.spec.mounts
    assert server.spec.environment["LETTA_SOURCE"] == "/source"
    assert server.spec.startup_gate is None
    assert "letta-dev-migration" in server.depends_on


def test_no_server_waits_for_a_collector(described: Described) -> None:
    for name, one in described("prod", SECRET, **CLICKHOUSE).services.items():
        if one.spec.service == catalogue.LETTA.name:
            assert not any("collector" in other for other in one.depends_on), name


def test_replicas_start_one_after_another_and_are_all_routed_to(described: Described) -> None:
    services = described(lettaReplicas=2).services
    assert services["letta-dev-server-1"].depends_on == ("letta-dev-server",)
    route = services["letta-dev-nginx-route"]
    assert route.spec.command[0] == "write-route"
    assert route.spec.command[2:] == ("letta-dev-server:8283", "letta-dev-server-1:8283")
    assert {"letta-dev-migration", "letta-dev-server", "letta-dev-server-1"} <= set(route.depends_on)
