"""What is refused and cleared before an update."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.checks import result
from operations.console.errors import OperationError
from operations.deploy import preflight
from operations.engine.protocol import Image, Network, Published, Volume
from operations.stack.backend import Lock
from operations.stack.state import CONTAINER, IMAGE, UUID, StackState
from testbed.fake_engine import FakeEngine, container
from testbed.fake_target import FakeTarget, resource, state_of

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("own_folders")]


def test_everything_broken_is_reported_at_once_with_each_fix() -> None:
    found = (result.broken("a", "port taken", "stop it"), result.ok("b", "fine"), result.broken("c", "disk full"))
    with pytest.raises(OperationError) as raised:
        preflight.refuse_broken(found, "dev")
    words = str(raised.value)
    assert "port taken" in words
    assert "disk full" in words
    assert "stop it" in words
    assert "fine" not in words


def _lock(pid: int, tmp_path: Path, host: str = "elsewhere") -> Lock:
    return Lock(path=tmp_path / "lock", pid=pid, host=host, user="ada", since="2026-01-02T03:04:05")


def test_a_lock_that_is_held_is_reported_with_its_holder(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="process 7 of ada@elsewhere"):
        preflight.clear_stale_locks([_lock(7, tmp_path)], lambda: None)


def test_without_locks_nothing_is_cancelled() -> None:
    preflight.clear_stale_locks([], lambda: pytest.fail("cancelled"))


def test_an_image_that_was_pruned_by_hand_is_refreshed_so_that_it_is_built_again(tmp_path: Path) -> None:
    state = state_of(
        resource(IMAGE, "letta", outputs={"name": "x:1"}), resource(IMAGE, "nginx", outputs={"name": "y:1"})
    )
    engine = FakeEngine(all_images=[Image(id="i", tags=("x:1",), size=1, ours=True)])
    target = FakeTarget(tmp_path, state=state, engine=engine)
    preflight.prepare_stack(target, engine)
    (asked,) = target.cli.asked
    assert asked[0] == "refresh"
    assert [part for part in asked if part.startswith("urn:")] == [f"urn:pulumi:dev::letta::{IMAGE}::nginx"]


def test_when_all_is_there_pulumi_is_not_started_at_all(tmp_path: Path) -> None:
    engine = FakeEngine(all_containers=[container("c")])
    target = FakeTarget(tmp_path, state=state_of(resource(CONTAINER, "c", id="id-c")), engine=engine)
    preflight.prepare_stack(target, engine)
    assert target.cli.asked == []
    assert len(engine.all_containers) == 1


def test_a_stack_that_is_not_known_is_created(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path)
    preflight.prepare_stack(target, target.fake_engine)
    assert target.cli.verbs == ["stack init"]


ID = resource(UUID, "letta-dev-id", outputs={"result": "mine"})


def _interrupted() -> FakeEngine:
    return FakeEngine(
        all_containers=[
            container("known"),
            container("creating"),
            container("dead", state="exited", health=None, stack_id="mine"),
        ],
        all_networks=[Network(id="n", name="net", stack="dev", stack_id="mine")],
        all_volumes=[Volume(name="letta-dev-postgres-data", stack="dev", stack_id="mine", service="data")],
    )


def test_what_an_interrupted_update_left_is_removed_after_pulumi_could_lock_the_state(tmp_path: Path) -> None:
    engine = _interrupted()
    state = state_of(ID, resource(CONTAINER, "known", id="id-known"), pending=("creating",))
    target = FakeTarget(tmp_path, state=state, engine=engine)
    names: list[str] = []
    target.cli.on["refresh"] = lambda: names.extend(one.name for one in engine.all_containers)
    preflight.prepare_stack(target, engine)
    assert names == ["known", "creating", "dead"], "not before"
    assert [one.name for one in engine.all_containers] == ["known"]
    assert engine.all_networks == []
    assert len(engine.all_volumes) == 1
    assert "--clear-pending-creates" in target.cli.asked[0]


@pytest.mark.parametrize("pending", [("creating",), ()])
def test_while_another_update_holds_the_lock_nothing_is_removed(tmp_path: Path, pending: tuple[str, ...]) -> None:
    """With a bucket or a service as backend only Pulumi sees the lock."""
    engine = _interrupted()
    # Listed before the state is read: what the other update creates meanwhile is in that state.
    state = state_of(ID, resource(CONTAINER, "known", id="id-known"), resource(CONTAINER, "x", id="id-creating"))
    if pending:
        state = state_of(ID, resource(CONTAINER, "known", id="id-known"), pending=pending)
    target = FakeTarget(tmp_path, state=state, engine=engine)

    def locked() -> None:
        raise OperationError("the stack is currently locked")

    target.cli.on["refresh"] = locked
    with pytest.raises(OperationError, match="currently locked"):
        preflight.prepare_stack(target, engine)
    assert len(engine.all_containers) == 3
    assert len(engine.all_networks) == 1


def test_the_engine_is_listed_before_the_state_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def remember(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def asked(*arguments: object) -> object:
            order.append(name)
            return real(*arguments)

        monkeypatch.setattr(owner, name, asked)

    for name in ("containers", "networks", "volumes"):
        remember(FakeEngine, name)
    remember(FakeTarget, "state")
    target = FakeTarget(tmp_path, state=state_of(ID))
    preflight.prepare_stack(target, target.fake_engine)
    assert sorted(order[:3]) == ["containers", "networks", "volumes"]
    assert order[3] == "state"


@pytest.mark.parametrize("condition", ["created", "running", "paused", "exited", "dead"])
@pytest.mark.parametrize("known", [None, state_of(), state_of(ID)], ids=["no stack", "empty stack", "deployed"])
def test_what_another_state_manages_is_refused_and_left_alone_whatever_its_condition(
    tmp_path: Path, known: StackState | None, condition: str
) -> None:
    """Another user, sudo, or another XDG_STATE_HOME runs `make up` for a stack of the same name."""
    engine = FakeEngine(
        all_containers=[container("theirs", state=condition, stack_id="other")],
        all_networks=[Network(id="n", name="their-net", stack="dev", stack_id="other")],
        all_volumes=[Volume(name="letta-dev-postgres-data", stack="dev", stack_id="other", service="data")],
    )
    target = FakeTarget(tmp_path, state=known, engine=engine)
    with pytest.raises(OperationError, match="another state manages a stack of this name") as raised:
        preflight.prepare_stack(target, engine)
    words = str(raised.value)
    assert "container theirs, network their-net, volume letta-dev-postgres-data" in words
    assert "LEFTOVERS=1" in words
    assert "docker volume rm letta-dev-postgres-data" in words
    assert (len(engine.all_containers), len(engine.all_networks), len(engine.all_volumes)) == (1, 1, 1)
    assert target.cli.asked == []


def test_a_port_that_another_stack_holds_is_refused(tmp_path: Path) -> None:
    other = container("other", stack="test", published=(Published(address="127.0.0.1", port=9000, internal=8080),))
    engine = FakeEngine(all_containers=[other])
    data = (
        "config:\n  letta:services: data\n  letta:apiPort: 9000\n  letta:postgresPort: 15432\n  letta:redisPort: "
    )
    with pytest.raises(OperationError, match=r"9000 \(redisPort\) is held by container other"):
        preflight.check_machine(FakeTarget(tmp_path, stack_file=f"{data}9000\n"), engine, {})
    # The port of a service that does not run is not wanted.
    preflight.check_machine(FakeTarget(tmp_path, stack_file=f"{data}16379\n"), engine, {})


def test_a_cpu_limit_that_the_engine_does_not_grant_is_refused_before_anything_changes(tmp_path: Path) -> None:
    file = "config:\n  letta:lettaCpus: 9\n"
    with pytest.raises(OperationError, match="letta:lettaCpus is 9") as raised:
        preflight.check_machine(FakeTarget(tmp_path, stack_file=file), FakeEngine(), {})
    assert "pulumi config set letta:lettaCpus 8 --stack dev" in str(raised.value)
