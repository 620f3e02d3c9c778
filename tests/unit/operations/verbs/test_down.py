"""Taking a stack down: what is refused, removed, kept and said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import catalogue
from operations.checks.leftovers import labelled
from operations.console.errors import OperationError
from operations.engine.protocol import Network, Volume
from operations.stack.state import CONTAINER, UUID, StackState
from operations.verbs.down import down, remove_readers
from testbed.fake_engine import FakeEngine, container
from testbed.fake_target import FakeTarget, resource, state_of

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("own_folders")]


def _state(**of_container: object) -> StackState:
    return state_of(
        resource(UUID, "letta-dev-id", outputs={"result": "x"}), resource(CONTAINER, "c", **of_container)
    )


def _deployed() -> FakeEngine:
    return FakeEngine(
        all_containers=[container("c"), container("other", stack="test")],
        all_networks=[Network(id="n", name="letta-dev-edge", stack="dev")],
        all_volumes=[
            Volume(name="letta-dev-postgres-data", stack="dev", stack_id="x", service="data"),
            Volume(name="letta-dev-scratch-1", stack="dev", stack_id=None, service="scratch"),
        ],
    )


def _empty(engine: FakeEngine) -> None:
    engine.all_containers = [one for one in engine.all_containers if one.stack != "dev"]
    engine.all_networks, engine.all_volumes = [], []


def test_down_destroys_forgets_and_finds_nothing_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = _deployed()
    target = FakeTarget(tmp_path, state=_state(), engine=engine)
    target.cli.on["destroy"] = lambda: _empty(engine)
    down(target, yes=True, leftovers=False)
    assert target.cli.verbs == ["destroy", "stack rm"]
    assert "--preserve-config" in target.cli.asked[1]
    assert [one.name for one in engine.all_containers] == ["other"]
    assert "is gone" in capsys.readouterr().out


def test_down_asks_and_without_a_terminal_it_does_nothing(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path, state=_state(), engine=_deployed())
    with pytest.raises(OperationError, match="YES=1"):
        down(target, yes=False, leftovers=False)
    assert target.cli.asked == []


@pytest.mark.parametrize(
    ("stack_file", "protect"),
    [("config:\n  letta:protectData: true\n", False), ("", True)],
    ids=["setting", "state"],
)
def test_a_protected_stack_is_not_destroyed_without_removing_the_protection(
    tmp_path: Path, stack_file: str, protect: bool
) -> None:
    state = _state(protect=protect)
    target = FakeTarget(tmp_path, state=state, engine=_deployed(), stack_file=stack_file)
    with pytest.raises(OperationError, match="protectData false"):
        down(target, yes=True, leftovers=True)
    assert target.cli.asked == []


def test_what_destroy_leaves_is_removed_but_data_is_left_and_named(tmp_path: Path) -> None:
    engine = _deployed()
    target = FakeTarget(tmp_path, state=_state(), engine=engine)
    with pytest.raises(OperationError, match="volume letta-dev-postgres-data") as raised:
        down(target, yes=True, leftovers=False)
    left = labelled(engine, "dev")
    assert (left.containers, left.networks, [one.name for one in left.volumes]) == (
        (),
        (),
        ["letta-dev-postgres-data"],
    )
    assert "LEFTOVERS=1" in str(raised.value)


def test_a_volume_of_which_nothing_is_known_counts_as_data(tmp_path: Path) -> None:
    unknown = Volume(name="letta-dev-postgres-data", stack="dev", stack_id=None, service=None)
    engine = FakeEngine(all_volumes=[unknown])
    target = FakeTarget(tmp_path, state=_state(), engine=engine)
    with pytest.raises(OperationError, match="left on the engine"):
        down(target, yes=True, leftovers=False)
    assert engine.all_volumes == [unknown]


def test_what_carries_the_id_of_another_state_is_left_and_named(tmp_path: Path) -> None:
    engine = FakeEngine(
        all_containers=[container("mine", stack_id="x"), container("theirs", stack_id="y")],
        all_networks=[
            Network(id="1", name="net-mine", stack="dev", stack_id="x"),
            Network(id="2", name="net-theirs", stack="dev", stack_id="y"),
        ],
        all_volumes=[
            Volume(name="scratch-mine", stack="dev", stack_id="x", service="scratch"),
            Volume(name="scratch-theirs", stack="dev", stack_id="y", service="scratch"),
        ],
    )
    with pytest.raises(OperationError) as raised:
        down(FakeTarget(tmp_path, state=_state(), engine=engine), yes=True, leftovers=False)
    assert "container theirs, network net-theirs, volume scratch-theirs" in raised.value.problem
    assert [one.name for one in engine.all_containers] == ["theirs"]
    assert [one.name for one in engine.all_networks] == ["net-theirs"]
    assert [one.name for one in engine.all_volumes] == ["scratch-theirs"]


def test_what_an_earlier_version_made_is_removed_with_the_data_that_it_belongs_to(tmp_path: Path) -> None:
    engine = _deployed()
    target = FakeTarget(tmp_path, state=_state(), engine=engine)

    def destroy() -> None:
        # All that Pulumi knows, among it the data, whose id is the only one on the engine.
        engine.all_volumes = [one for one in engine.all_volumes if one.service != "data"]

    target.cli.on["destroy"] = destroy
    down(target, yes=True, leftovers=False)
    assert labelled(engine, "dev").is_empty


def test_leftovers_of_a_lost_state_are_removed_on_request(tmp_path: Path) -> None:
    engine = _deployed()
    target = FakeTarget(tmp_path, engine=engine)
    down(target, yes=True, leftovers=True)
    assert labelled(engine, "dev").is_empty
    assert [one.name for one in engine.all_containers] == ["other"]


def test_what_another_state_may_manage_is_not_touched(tmp_path: Path) -> None:
    engine = _deployed()
    with pytest.raises(OperationError, match="another backend manages them"):
        down(FakeTarget(tmp_path, engine=engine), yes=True, leftovers=False)
    assert len(engine.all_containers) == 2


def test_down_of_a_stack_that_does_not_exist_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    down(FakeTarget(tmp_path), yes=False, leftovers=False)
    assert "nothing to do" in capsys.readouterr().out


def test_readers_of_traces_end_before_the_volume_goes() -> None:
    reader = replace(container("reader", stack=None, service=None), labels=((catalogue.READER_LABEL, "dev"),))
    other = replace(container("reader2", stack=None, service=None), labels=((catalogue.READER_LABEL, "test"),))
    engine = FakeEngine(all_containers=[reader, other])
    remove_readers(engine, "dev")
    assert engine.all_containers == [other]
