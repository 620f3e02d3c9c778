"""The services as `make status` shows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from operations.console.errors import OperationError
from operations.engine.protocol import Container, Network
from operations.stack.state import CONTAINER, NETWORK, UUID, StackState
from operations.verbs.status import services, status
from testbed.fake_engine import FakeEngine, container, inspection
from testbed.fake_target import FakeTarget, resource, service_resource, state_of

pytestmark = pytest.mark.unit


def test_the_status_tells_jobs_from_services_and_leaves_out_file_bundles() -> None:
    job = container("job", state="exited", health=None, service="migration")
    bundle = container("files", state="created", health=None, service="letta-files")
    dead = container("dead", state="exited", health=None)
    engine = FakeEngine(
        all_containers=[container("well"), job, bundle, dead],
        inspections={job.id: inspection(is_job=True), dead.id: inspection(exit_code=1, restarts=4)},
    )
    found = {one.container: (one.state, one.is_well) for one in services(engine, "dev")}
    assert found == {
        "well": ("healthy", True),
        "job": ("succeeded", True),
        "dead": ("exited with exit code 1", False),
    }


def _stack(folder: Path, *, found: tuple[Container, ...], networks: tuple[Network, ...] = ()) -> FakeTarget:
    state = state_of(
        resource(UUID, "letta-dev-id", outputs={"result": "mine"}),
        service_resource("redis"),
        service_resource("letta", networks=("net",)),
        resource(NETWORK, "net", id="net"),
        resource(CONTAINER, "job", id="id-job", inputs={"restart": "no"}),
    )
    return FakeTarget(
        folder, state=state, engine=FakeEngine(all_containers=list(found), all_networks=list(networks))
    )


REDIS, LETTA = container("redis", service="redis"), container("letta", networks=("net",))
NET = Network(id="net", name="net", stack="dev")
SHOWN: dict[str, tuple[tuple[Container, ...], tuple[Network, ...], str, bool]] = {
    "all well, jobs removed": ((REDIS, LETTA), (NET,), "healthy", True),
    "docker rm -f": ((LETTA,), (NET,), "missing", False),
    "all removed": ((), (NET,), "missing", False),
    "docker stop": ((replace(REDIS, state="exited"), LETTA), (NET,), "exited with exit code 0", False),
    "docker pause": ((replace(REDIS, state="paused"), LETTA), (NET,), "paused", False),
    "unhealthy": ((replace(REDIS, health="unhealthy"), LETTA), (NET,), "unhealthy", False),
    "disconnected": ((REDIS, replace(LETTA, networks=())), (NET,), "disconnected (not in net)", False),
    "network gone": ((REDIS, LETTA), (), "network net: missing", False),
    "another state's": (
        (REDIS, LETTA, container("theirs", stack_id="other")),
        (NET,),
        "of another state",
        False,
    ),
}


@pytest.mark.parametrize("case", SHOWN)
def test_the_status_lists_what_should_run_and_fails_when_it_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    found, networks, words, well = SHOWN[case]
    target = _stack(tmp_path, found=found, networks=networks)
    assert status(target, as_json=True) is well
    assert words in capsys.readouterr().out
    assert status(target, as_json=False) is well


def test_without_a_state_that_can_be_read_it_is_not_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreadable(_self: FakeTarget) -> StackState:
        raise OperationError("the file is damaged")

    monkeypatch.setattr(FakeTarget, "state", unreadable)
    assert not status(_stack(tmp_path, found=(REDIS,)), as_json=False)
    shown = capsys.readouterr().out
    assert "redis" in shown
    assert "what is missing: the file is damaged" in shown
