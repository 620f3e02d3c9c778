"""What the engine has of a stack that its state does not know."""

from __future__ import annotations

import pytest

import catalogue
from operations.checks.leftovers import labelled, unknown_containers, unknown_data
from operations.engine.protocol import Network, Volume
from operations.stack.state import CONTAINER, VOLUME, StackState
from testbed.fake_engine import FakeEngine, container
from testbed.fake_target import resource, state_of

pytestmark = pytest.mark.unit


def _volume(name: str, service: str | None) -> Volume:
    return Volume(name=name, stack="dev", stack_id=None, service=service)


def test_everything_with_the_label_of_the_stack_is_named() -> None:
    engine = FakeEngine(
        all_containers=[container("c"), container("other", stack="test")],
        all_networks=[Network(id="n", name="edge", stack="dev")],
        all_volumes=[_volume("v", "data")],
    )
    found = labelled(engine, "dev")
    assert str(found) == "container c, network edge, volume v"
    assert not found.is_empty
    assert labelled(engine, "prod").is_empty


@pytest.mark.parametrize(
    ("service", "is_data"),
    [
        (catalogue.DATA_SERVICE, True),
        (None, True),
        (catalogue.SCRATCH_SERVICE, False),
        (f"letta{catalogue.FILES_SUFFIX}", False),
    ],
)
def test_a_volume_counts_as_data_unless_it_is_known_to_hold_something_else(
    service: str | None, is_data: bool
) -> None:
    engine = FakeEngine(all_volumes=[_volume("v", service)])
    assert bool(labelled(engine, "dev").data) is is_data


def test_containers_that_the_state_does_not_know_are_left_over_or_of_another_state() -> None:
    state = state_of(resource(CONTAINER, "known", id="id-known"), pending=("creating",))
    dead = container("dead", state="exited", health=None)
    found = unknown_containers(state, [container("known"), container("creating"), dead, container("theirs")])
    assert [one.name for one in found.left] == ["creating", "dead"]
    assert [one.name for one in found.foreign] == ["theirs"]


def test_data_that_the_state_does_not_know_is_found_by_the_names_of_the_catalogue() -> None:
    names = tuple(catalogue.data_volumes("dev"))
    volumes = [_volume(name, "data") for name in (*names, "letta-dev-scratch-1", "letta-prod-postgres-data")]
    assert [one.name for one in unknown_data("dev", StackState({}), volumes)] == list(names)
    known = state_of(resource(VOLUME, "data", outputs={"name": names[0]}))
    assert [one.name for one in unknown_data("dev", known, volumes)] == list(names[1:])
