"""The complete program under mocks, for every committed stack file: what it registers for a Docker engine."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pulumi
import pytest

import catalogue
import otel
from components.image_build import content_hash
from components.network import subnets
from components.nginx import configuration, route_version
from components.postgres import slot_generations
from tests.unit.conftest import Program, Registered
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

STACKS = ("dev", "staging", "prod")
CONTAINER = "docker:index/container:Container"


def _containers(seen: list[Registered]) -> dict[str, Registered]:
    """Return those that run: the holders of file bundles never start."""
    return {one.name: one for one in seen if one.typ == CONTAINER and one.value("start") is not False}


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


def test_generated_secrets_are_in_no_environment_command_or_label(platform: Program) -> None:
    for one in platform():
        if one.typ == CONTAINER:
            for field in ("envs", "command", "labels", "entrypoints"):
                assert "generated-" not in str(one.value(field)), (one.name, field)
            if "generated-" in str(one.inputs):
                assert one.is_secret("uploads"), one.name


def test_a_rotation_renews_the_idle_password_only() -> None:
    generations = [slot_generations(step) for step in (1, 2, 3, 4)]
    for before, after in pairwise(generations):
        assert sum(before[slot] != after[slot] for slot in "ab") == 1
    # The slot that is used at a generation is the one that was renewed for it.
    assert generations[1]["b"] != generations[0]["b"]
    assert generations[2]["a"] != generations[1]["a"]


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_a_protected_stack_protects_its_encryption_key(platform: Program, stack: str) -> None:
    protected = {one.name for one in platform(stack) if one.request.protect}
    assert {f"letta-{stack}-encryption-key", f"letta-{stack}-postgres-data"} <= protected
    assert not any(one.request.protect for one in platform("dev"))


def test_pinned_images_are_taken_as_they_are_and_nothing_is_built(platform: Program) -> None:
    digest = "sha256:" + "0" * 64
    names = catalogue.images(catalogue.Composition.ALL)
    pinned = {name: f"registry.example/{name}@{digest}" for name in names}
    images = [one for one in platform(pinnedImages=pinned) if one.typ.endswith(":RemoteImage")]
    assert {one.value("name") for one in images} == set(pinned.values())
    assert not any(one.value("build") for one in images)


@pytest.mark.parametrize("stack", STACKS)
def test_names_types_parents_and_aliases_of_resources_are_stable(platform: Program, stack: str) -> None:
    # Each of them is part of what Pulumi knows a resource by. Another one replaces the resource, data included:
    # change the file only together with an alias that leads from the old line to the new one.
    golden = Path(__file__).with_name("golden") / f"resources-{stack}.txt"
    found = "".join(f"{line}\n" for line in sorted(one.identity for one in platform(stack)))
    assert found == golden.read_text(), f"to accept the change, write this to {golden}:\n{found}"


@pytest.mark.parametrize("version", otel.VERSIONS)
def test_the_collector_is_built_in_the_version_that_is_set(platform: Program, version: str) -> None:
    image = _collector_image(platform, version)
    assert image.value("build")["buildArgs"]["COLLECTOR_VERSION"] == version


def test_each_version_of_the_collector_is_an_image_of_its_own(platform: Program) -> None:
    names = {_collector_image(platform, version).value("name") for version in otel.VERSIONS}
    assert len(names) == len(otel.VERSIONS)


def _collector_image(platform: Program, version: str) -> Registered:
    seen = platform("dev", **{"letta:collectorVersion": version})
    (image,) = [
        one for one in seen if one.name == "letta-dev-image-collector" and one.typ.endswith(":RemoteImage")
    ]
    return image


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


def test_bytecode_next_to_an_images_scripts_does_not_change_its_tag(tmp_path: Path) -> None:
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

    found, sources = 0, ""
    for path in sorted((ROOT / "components").glob("[a-z]*.py")):
        sources += path.read_text()
        module = importlib.import_module(f"components.{path.stem}")
        for name, component in inspect.getmembers(module, inspect.isclass):
            if issubclass(component, pulumi.ComponentResource) and component.__module__ == module.__name__:
                found += 1
                assert list(inspect.signature(component).parameters) == ["name", "args", "opts"], name
    assert found == sources.count('super().__init__("letta:') > 0
