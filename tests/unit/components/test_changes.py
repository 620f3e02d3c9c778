"""A stack can always be changed: from any settings to any others, what must not be lost stays the same resource.

Pulumi refuses every update of a program that no longer registers a protected resource, or would replace it; one
that is not protected it deletes, data included. Names, parents and inputs of such resources are compared here, for
all pairs; `tests/preview/test_changes.py` changes a stack with the real CLI.
"""

from __future__ import annotations

from typing import Any

import pytest

import catalogue
from settings import SECRET_KEYS
from settings.schema import fields
from testbed import stack_changes
from tests.unit.conftest import Program, Registered

pytestmark = pytest.mark.unit

STACK = "dev"
SECRET = tuple(f"letta:{key}" for key in sorted(SECRET_KEYS))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, stack_changes.Settings]:
    return stack_changes.table(tmp_path_factory.mktemp("table"))


def run(platform: Program, settings: stack_changes.Settings) -> list[Registered]:
    return platform(STACK, SECRET, **{f"letta:{key}": value for key, value in settings.items()})


def to_keep(seen: list[Registered]) -> dict[str, Any]:
    """Return the inputs of what an update must not lose, by URN: what is protected, volumes with data, the key."""
    return {
        one.urn: one.inputs
        for one in seen
        if one.request.protect or one.name in {*catalogue.data_volumes(STACK), f"letta-{STACK}-encryption-key"}
    }


def lost(before: list[Registered], after: list[Registered]) -> list[str]:
    """Return what a change would delete or replace of what must be kept."""
    registered = {urn: one.inputs for one in after for urn in (one.urn, *one.former_urns)}
    return [urn.rpartition("::")[2] for urn, inputs in to_keep(before).items() if registered.get(urn) != inputs]


# One test for all that is asked of these states: to render them is what takes time, and each worker does it again.
@pytest.mark.parametrize("protected", [True, False], ids=["protected", "not-protected"])
def test_no_change_of_settings_loses_data_or_is_refused_for_its_protection(
    platform: Program, table: dict[str, stack_changes.Settings], protected: bool
) -> None:
    states = {name: run(platform, {"protectData": protected, **settings}) for name, settings in table.items()}

    for name, seen in states.items():
        wanted = table[name].get("protectData", protected)
        assert {one.name: one.request.protect for one in seen if one.urn in to_keep(seen)} == dict.fromkeys(
            [*catalogue.data_volumes(STACK), f"letta-{STACK}-encryption-key"], wanted
        ), name
        retained = {one.request.retainOnDelete for one in seen if one.name in catalogue.data_volumes(STACK)}
        assert retained == {wanted}, name
    found = {
        f"{before} → {after}": gone
        for before in states
        for after in states
        if (gone := lost(states[before], states[after]))
    }
    assert not found


def test_the_generated_password_of_the_api_is_the_same_after_a_time_with_data_services_alone(
    platform: Program,
) -> None:
    states = [run(platform, settings) for settings in ({}, stack_changes.DATA)]
    all_services, data_services = ([one.urn for one in seen if one.name.endswith("-password")] for seen in states)
    assert all_services == data_services != []


def test_the_table_has_every_setting(table: dict[str, stack_changes.Settings]) -> None:
    assert {key for settings in table.values() for key in settings} == set(fields())


@pytest.mark.parametrize(
    ("urn", "name"),
    [
        ("letta:platform:Platform$letta:data:Postgres", "postgres-data"),
        ("letta:platform:Platform$letta:telemetry:Telemetry", "logs"),
        ("letta:platform:Platform$letta:telemetry:Telemetry$letta:telemetry:Collector", "traces"),
        ("letta:platform:Platform$letta:telemetry:Telemetry$letta:telemetry:Collector", "collector-queue"),
        ("letta:platform:Platform$letta:telemetry:Telemetry$letta:telemetry:Collector", "collector-1-queue"),
        ("letta:platform:Platform$letta:telemetry:Collector", "traces"),
        ("letta:platform:Platform$letta:telemetry:Collector", "collector-queue"),
        ("letta:platform:Platform$letta:telemetry:Collector", "collector-1-queue"),
    ],
)
def test_data_volumes_of_stacks_that_earlier_versions_deployed_are_taken_over(
    platform: Program, urn: str, name: str
) -> None:
    former = f"urn:pulumi:{STACK}::letta::{urn}$docker:index/volume:Volume::letta-{STACK}-{name}"
    (found,) = [one for one in platform(STACK) if former in one.former_urns]
    assert found.value("name") == f"letta-{STACK}-{name}"
