"""The whole program under mocks, for every committed stack file."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pulumi
import pytest
import yaml

from components.image_build import content_hash
from components.network import subnets
from components.nginx import configuration, route_version
from components.postgres import slot_generations
from settings import load
from tests.unit.conftest import Program, Registered
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

STACKS = ("dev", "staging", "prod")
CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"


def _containers(seen: list[Registered]) -> dict[str, Registered]:
    """Give those that run: the holders of file bundles never start."""
    return {one.name: one for one in seen if one.typ == CONTAINER and one.value("start") is not False}


@pytest.mark.parametrize(
    ("stack", "more"),
    [("dev", set()), ("staging", {"otlp-certificates"}), ("prod", {"otlp-certificates"})],
    ids=STACKS,
)
def test_every_committed_stack_has_all_services(platform: Program, stack: str, more: set[str]) -> None:
    services = {
        label["value"]
        for one in _containers(platform(stack)).values()
        for label in one.value("labels")
        if label["label"] == "letta-platform.service"
    }
    assert services - more == {
        "postgres", "roles", "redis", "migration", "letta", "collector", "collector-validation", "nginx", "route",
    }  # fmt: skip
    assert more <= services


@pytest.mark.parametrize("stack", STACKS)
def test_every_service_of_every_stack_is_hardened(platform: Program, stack: str) -> None:
    for name, container in _containers(platform(stack)).items():
        assert container.value("readOnly") is True, name
        assert container.value("capabilities") == {"drops": ["ALL"]}, name
        assert not container.value("user").startswith("0"), name
        assert container.value("memory") == container.value("memorySwap"), name
        assert container.value("healthcheck"), name
        assert container.value("destroyGraceSeconds"), name
        assert not container.value("privileged"), name


@pytest.mark.parametrize("stack", STACKS)
def test_only_the_edge_and_the_collector_publish_ports(platform: Program, stack: str) -> None:
    published = {name for name, one in _containers(platform(stack)).items() if one.value("ports")}
    assert published == {f"letta-{stack}-nginx", f"letta-{stack}-collector"}


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_is_published_beyond_the_bind_address(platform: Program, stack: str) -> None:
    for one in _containers(platform(stack)).values():
        for port in one.value("ports") or []:
            assert port["ip"] == "127.0.0.1"


def test_the_data_tier_holds_nobody_but_servers_jobs_and_databases(platform: Program) -> None:
    members = {
        name
        for name, one in _containers(platform()).items()
        for network in one.value("networksAdvanced") or []
        if network["name"] == "letta-dev-data"
    }
    assert members == {
        "letta-dev-postgres", "letta-dev-redis", "letta-dev-migration", "letta-dev-server",
    }  # fmt: skip


def test_tiers_between_services_have_no_way_out(platform: Program) -> None:
    networks = {one.name: one.value("internal") for one in platform() if one.typ == NETWORK}
    internal = {name for name, value in networks.items() if value}
    assert internal == {"letta-dev-app", "letta-dev-data", "letta-dev-telemetry"}
    assert len(networks) == 6


def test_the_database_can_be_administered_by_jobs_alone(platform: Program) -> None:
    holders = {
        name
        for name, one in _containers(platform()).items()
        for volume in one.value("volumes") or []
        if volume.get("volumeName") == "letta-dev-postgres-socket"
    }
    assert holders == {"letta-dev-postgres", "letta-dev-postgres-roles"}


def test_a_providers_key_reaches_the_server_and_nothing_else(platform: Program) -> None:
    seen = platform(secret=("openaiApiKey",), openaiApiKey="sk-canary-canary")
    carriers = {one.name for one in seen if "sk-canary-canary" in str(one.inputs)}
    assert carriers == {"letta-dev-server-secrets"}
    (holder,) = [one for one in seen if one.typ == CONTAINER and one.name == "letta-dev-server-secrets"]
    assert holder.is_secret("uploads")


def test_generated_secrets_are_in_no_environment_command_or_label(platform: Program) -> None:
    for one in platform():
        if one.typ == CONTAINER:
            for place in ("envs", "command", "labels", "entrypoints"):
                assert "generated-" not in str(one.value(place)), (one.name, place)
            if "generated-" in str(one.inputs):
                assert one.is_secret("uploads"), one.name


def test_a_rotation_renews_the_idle_password_only() -> None:
    generations = [slot_generations(step) for step in (1, 2, 3, 4)]
    for before, after in pairwise(generations):
        assert sum(before[slot] != after[slot] for slot in "ab") == 1
    # The slot that is used at a generation is the one that was renewed for it.
    assert generations[1]["b"] != generations[0]["b"]
    assert generations[2]["a"] != generations[1]["a"]


def test_a_new_generation_moves_servers_to_the_other_login_role(platform: Program) -> None:
    def uri(generation: int) -> str:
        seen = platform(databaseCredentialGeneration=generation)
        (holder,) = [one for one in seen if one.typ == CONTAINER and one.name == "letta-dev-server-secrets"]
        files = {upload["file"]: upload["content"] for upload in holder.value("uploads")}
        return str(files["/run/secrets/LETTA_PG_URI"])

    assert uri(1).startswith("postgresql://letta_a:")
    assert uri(2).startswith("postgresql://letta_b:")
    assert uri(3).startswith("postgresql://letta_a:")


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_protected_stacks_keep_their_data_and_the_encryption_key(platform: Program, stack: str) -> None:
    # Protection is an option and not an input, so it is the settings that are looked at here;
    # the engine tier tries to remove a protected volume for real.
    committed = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    assert load(committed["config"], (), stack=stack).protect_data is True
    volumes = {one.value("name") for one in platform(stack) if one.typ == VOLUME}
    assert f"letta-{stack}-postgres-data" in volumes


def test_data_alone_is_two_published_services_and_no_server(platform: Program) -> None:
    containers = _containers(platform(services="data"))
    assert set(containers) == {"letta-dev-postgres", "letta-dev-postgres-roles", "letta-dev-redis"}
    ports = {name: one.value("ports") for name, one in containers.items() if one.value("ports")}
    assert {name: port[0]["external"] for name, port in ports.items()} == {
        "letta-dev-postgres": 5432,
        "letta-dev-redis": 6379,
    }


def test_a_source_directory_is_mounted_and_run_read_only(platform: Program, tmp_path: Path) -> None:
    (tmp_path / "letta").mkdir()
    (tmp_path / "letta" / "__init__.py").touch()
    server = _containers(platform(sourceDirectory=str(tmp_path)))["letta-dev-server"]
    assert {"hostPath": str(tmp_path), "containerPath": "/source", "readOnly": True} in server.value("volumes")
    assert "LETTA_SOURCE=/source" in server.value("envs")


def test_pinned_images_are_taken_as_they_are_and_nothing_is_built(platform: Program) -> None:
    digest = "sha256:" + "0" * 64
    names = ("base", "postgres", "redis", "letta", "collector", "nginx")
    pinned = {name: f"registry.example/{name}@{digest}" for name in names}
    images = [one for one in platform(pinnedImages=pinned) if one.typ.endswith(":RemoteImage")]
    assert {one.value("name") for one in images} == set(pinned.values())
    assert not any(one.value("build") for one in images)


def test_replicas_start_one_after_another_and_are_all_routed_to(platform: Program) -> None:
    containers = _containers(platform(lettaReplicas=2))
    route = containers["letta-dev-nginx-route"].value("command")
    assert route[0] == "write-route"
    assert route[2:] == ["letta-dev-server:8283", "letta-dev-server-1:8283"]


@pytest.mark.parametrize("stack", STACKS)
def test_the_names_of_resources_are_stable(platform: Program, stack: str) -> None:
    # A name that changes replaces what it names: change this file only together with an alias.
    golden = Path(__file__).with_name("golden") / f"resources-{stack}.txt"
    names = sorted(f"{one.typ} {one.name}" for one in platform(stack))
    assert names == golden.read_text().splitlines()


# -- pure parts -----------------------------------------------------------------------------------------


def test_an_images_tag_changes_with_its_files_modes_and_arguments(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x")
    (tmp_path / "run").write_text("#!/bin/sh")
    first = content_hash(tmp_path, {"BASE": "a"})
    assert content_hash(tmp_path, {"BASE": "a"}) == first
    assert content_hash(tmp_path, {"BASE": "b"}) != first
    (tmp_path / "run").chmod(0o755)
    executable = content_hash(tmp_path, {"BASE": "a"})
    assert executable != first
    (tmp_path / "run").write_text("#!/bin/bash")
    assert content_hash(tmp_path, {"BASE": "a"}) != executable


def test_bytecode_beside_an_images_scripts_does_not_change_its_tag(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM x")
    first = content_hash(tmp_path, {})
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "migrate.pyc").write_bytes(b"\0")
    assert content_hash(tmp_path, {}) == first


def test_every_tier_gets_a_subnet_of_its_own() -> None:
    import ipaddress

    cut = subnets(ipaddress.IPv4Network("10.9.0.0/24"))
    assert len(set(cut.values())) == len(cut) == 6
    assert cut["edge"] == "10.9.0.0/27"


def test_a_route_is_named_after_its_servers() -> None:
    assert route_version(["a:1", "b:2"]) != route_version(["a:1"])


def test_nginx_passes_streams_on_and_waits_for_long_answers() -> None:
    text = configuration(debug=False)
    assert "proxy_buffering off;" in text
    assert "proxy_read_timeout 1800s;" in text
    assert "{{" not in text


def test_components_are_all_of_one_shape() -> None:
    import importlib
    import inspect

    found = 0
    for path in sorted((ROOT / "components").glob("[a-z]*.py")):
        module = importlib.import_module(f"components.{path.stem}")
        for name, component in inspect.getmembers(module, inspect.isclass):
            if issubclass(component, pulumi.ComponentResource) and component.__module__ == module.__name__:
                found += 1
                assert list(inspect.signature(component).parameters) == ["name", "args", "opts"], name
    assert found == 12
