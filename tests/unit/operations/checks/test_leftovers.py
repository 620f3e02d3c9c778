"""What the engine has of a stack that its state does not know."""

from __future__ import annotations

import pytest

import catalogue
from operations.checks.leftovers import Leftovers, divide, labelled, unknown_data
from operations.engine.protocol import Network, Volume
from operations.stack.state import CONTAINER, NETWORK, UUID, VOLUME, StackState
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


MINE, THEIRS = "id-of-mine", "id-of-theirs"
EMPTY = StackState({})


def _own(*more: dict[str, object], pending: tuple[str, ...] = ()) -> StackState:
    return state_of(resource(UUID, "letta-dev-id", outputs={"result": MINE}), *more, pending=pending)


def _everything(owner: str | None, *, data_of: str | None, state: str = "exited") -> Leftovers:
    """One of each kind, which carries the id of `owner`, and the data volume of a stack."""
    data = [Volume(name="data", stack="dev", stack_id=data_of, service="data")] if data_of else []
    return Leftovers(
        containers=(container("c", stack_id=owner, state=state, health=None),),
        networks=(Network(id="n", name="n", stack="dev", stack_id=owner),),
        volumes=(Volume(name="v", stack="dev", stack_id=owner, service="scratch"), *data),
    )


KNOWN = (
    resource(CONTAINER, "c", id="id-c"),
    resource(NETWORK, "n", id="n"),
    resource(VOLUME, "v", outputs={"name": "v"}),
)
# The state; the id that things carry; the id that the data volume carries; whose the things are.
WHOSE: dict[str, tuple[StackState, str | None, str | None, str]] = {
    "in the state": (_own(*KNOWN), MINE, MINE, "known"),
    "in the state, of an earlier version": (_own(*KNOWN), None, MINE, "known"),
    "in the state, data gone": (_own(*KNOWN), None, None, "known"),
    "my id": (_own(), MINE, MINE, "left"),
    "my id, no data yet": (_own(), MINE, None, "left"),
    "my id, data of another": (_own(), MINE, THEIRS, "left"),
    "no id, my data": (_own(), None, MINE, "left"),
    "another id": (_own(), THEIRS, THEIRS, "foreign"),
    "another id, my data": (_own(), THEIRS, MINE, "foreign"),
    "no id, data of another": (_own(), None, THEIRS, "foreign"),
    "no id, no data": (_own(), None, None, "foreign"),
    "no id, being created": (_own(pending=("c", "n", "v")), None, None, "left"),
    "no id, being created next to another's data": (_own(pending=("c", "n", "v")), None, THEIRS, "left"),
    "another id, with the name of what is being created": (_own(pending=("c", "n", "v")), THEIRS, None, "foreign"),
    "first up: another id": (EMPTY, THEIRS, THEIRS, "foreign"),
    "first up: no id, data of another": (EMPTY, None, THEIRS, "foreign"),
    "first up: no id, no data": (EMPTY, None, None, "foreign"),
    "first up, interrupted": (state_of(pending=("c", "n", "v")), None, None, "left"),
}


@pytest.mark.parametrize("condition", ["created", "running", "paused", "exited", "dead"])
@pytest.mark.parametrize(("state", "carried", "data_of", "whose"), WHOSE.values(), ids=list(WHOSE))
def test_the_id_decides_whose_it_is_and_whether_it_runs_does_not(
    state: StackState, carried: str | None, data_of: str | None, whose: str, condition: str
) -> None:
    divided = divide(state, _everything(carried, data_of=data_of, state=condition))
    for name in ("known", "left", "foreign"):
        part = getattr(divided, name)
        found = {"c", "n", "v"} & {one.name for one in (*part.containers, *part.networks, *part.volumes)}
        assert found == ({"c", "n", "v"} if name == whose else set()), name


def test_data_of_several_states_says_nothing_about_what_carries_no_id() -> None:
    found = _everything(None, data_of=MINE)
    other = Volume(name="data2", stack="dev", stack_id=THEIRS, service="data")
    divided = divide(_own(), Leftovers(containers=found.containers, volumes=(*found.volumes, other)))
    assert [one.name for one in divided.foreign.containers] == ["c"]


def test_a_data_volume_with_the_id_of_this_stack_is_its_own_also_when_the_state_does_not_know_it() -> None:
    volume = Volume(name="letta-dev-postgres-data", stack="dev", stack_id=MINE, service="data")
    assert unknown_data("dev", _own(), [volume]) == ()
    assert unknown_data("dev", EMPTY, [volume]) == (volume,)


def test_data_that_the_state_does_not_know_is_found_by_the_names_of_the_catalogue() -> None:
    names = tuple(catalogue.data_volumes("dev"))
    volumes = [_volume(name, "data") for name in (*names, "letta-dev-scratch-1", "letta-prod-postgres-data")]
    assert [one.name for one in unknown_data("dev", StackState({}), volumes)] == list(names)
    known = state_of(resource(VOLUME, "data", outputs={"name": names[0]}))
    assert [one.name for one in unknown_data("dev", known, volumes)] == list(names[1:])
