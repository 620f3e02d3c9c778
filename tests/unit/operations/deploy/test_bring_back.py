"""Bringing back what is gone or stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import catalogue
from operations.console.errors import OperationError
from operations.deploy import preflight
from operations.engine.protocol import Container, Network, Volume
from operations.stack.state import CONTAINER, NETWORK, UUID, VOLUME
from testbed.fake_engine import FakeEngine, container
from testbed.fake_target import FakeTarget, resource, service_resource, state_of

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("own_folders")]

SERVICES = [service.name for service in catalogue.SERVICES]
DATA = "letta-dev-postgres-data"


def _urn(kind: str, name: str) -> str:
    return f"urn:pulumi:dev::letta::{kind}::{name}"


def _target(folder: Path, *, stack_file: str = "") -> FakeTarget:
    """A stack of all services, each in network `net`, with a job, a network and its data: nothing differs."""
    job = resource(CONTAINER, "job", id="id-job", inputs={"restart": "no"}, replaceWith=[_urn(VOLUME, "data")])
    state = state_of(
        resource(UUID, "letta-dev-id", outputs={"result": "mine"}),
        *(service_resource(name, networks=("net",)) for name in SERVICES),
        job,
        resource(NETWORK, "net", id="net"),
        resource(
            VOLUME,
            "data",
            outputs={"name": DATA},
            inputs={"labels": [{"label": catalogue.SERVICE_LABEL, "value": "data"}]},
        ),
    )
    engine = FakeEngine(
        all_containers=[
            *(container(name, service=name, stack_id="mine", networks=("net",)) for name in SERVICES),
            container("job", state="exited", health=None, stack_id="mine"),
        ],
        all_networks=[Network(id="net", name="net", stack="dev", stack_id="mine")],
        all_volumes=[Volume(name=DATA, stack="dev", stack_id="mine", service="data")],
    )
    return FakeTarget(folder, state=state, engine=engine, stack_file=stack_file)


def _change(engine: FakeEngine, name: str, **changes: object) -> None:
    engine.all_containers = [
        replace(one, **changes) if one.name == name else one  # type: ignore[arg-type]
        for one in engine.all_containers
    ]


def _refreshed(target: FakeTarget) -> list[str]:
    return [part for asked in target.cli.asked for part in asked if part.startswith("urn:")]


def test_where_nothing_differs_nothing_is_done(tmp_path: Path) -> None:
    target = _target(tmp_path)
    assert preflight.prepare_stack(target, target.fake_engine) == ()
    assert target.cli.asked == []
    assert target.fake_engine.started == target.fake_engine.restarted == []


# What was done to a service; is it started, restarted, refreshed, replaced?
DONE: dict[str, tuple[dict[str, object] | None, str]] = {
    "docker stop": ({"state": "exited", "health": None}, "started"),
    "never started": ({"state": "created", "health": None}, "started"),
    "docker pause": ({"state": "paused"}, "started"),
    "unhealthy": ({"health": "unhealthy"}, "restarted"),
    "docker rm -f": (None, "refreshed"),
    "docker network disconnect": ({"networks": ()}, "replaced"),
    "half removed": ({"state": "dead", "health": None}, "replaced"),
    "crashes": ({"state": "restarting", "health": None}, "left"),
    "starting": ({"health": "starting"}, "left"),
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("changes", "what"), DONE.values(), ids=list(DONE))
def test_each_service_is_brought_back_from_whatever_was_done_to_it(
    tmp_path: Path, service: str, changes: dict[str, object] | None, what: str
) -> None:
    target = _target(tmp_path)
    engine = target.fake_engine
    if changes is None:
        engine.remove_container(f"id-{service}")
    else:
        _change(engine, service, **changes)
    replaced = preflight.prepare_stack(target, engine)
    done = {
        "started": engine.started == [f"id-{service}"],
        "restarted": engine.restarted == [f"id-{service}"],
        "refreshed": _refreshed(target) == [_urn(CONTAINER, service)],
        "replaced": replaced == (_urn(CONTAINER, service),),
    }
    assert {name for name, was in done.items() if was} == ({what} & done.keys())
    assert target.cli.verbs == (["refresh"] if what == "refreshed" else [])


def test_all_stopped_are_started_data_first(tmp_path: Path) -> None:
    target = _target(tmp_path)
    for name in reversed(SERVICES):
        _change(target.fake_engine, name, state="exited")
    assert preflight.prepare_stack(target, target.fake_engine) == ()
    assert target.fake_engine.started == [f"id-{name}" for name in SERVICES]
    assert SERVICES[:2] == ["postgres", "redis"]


def test_all_gone_are_forgotten_in_one_refresh(tmp_path: Path) -> None:
    target = _target(tmp_path)
    target.fake_engine.all_containers = []
    assert preflight.prepare_stack(target, target.fake_engine) == ()
    assert target.cli.verbs == ["refresh"]
    assert _refreshed(target) == [_urn(CONTAINER, name) for name in (*SERVICES, "job")]


def test_what_is_stopped_while_something_is_gone_is_replaced_in_pulumis_order(tmp_path: Path) -> None:
    """A server that starts before Redis never uses it."""
    target = _target(tmp_path)
    target.fake_engine.remove_container("id-redis")
    _change(target.fake_engine, "letta", state="exited")
    _change(target.fake_engine, "nginx", state="paused")
    assert preflight.prepare_stack(target, target.fake_engine) == (_urn(CONTAINER, "letta"),)
    assert target.fake_engine.started == ["id-nginx"]
    assert _refreshed(target) == [_urn(CONTAINER, "redis")]


def test_what_is_unhealthy_because_of_another_is_not_restarted(tmp_path: Path) -> None:
    target = _target(tmp_path)
    _change(target.fake_engine, "postgres", state="exited")
    _change(target.fake_engine, "letta", health="unhealthy")
    preflight.prepare_stack(target, target.fake_engine)
    assert (target.fake_engine.started, target.fake_engine.restarted) == (["id-postgres"], [])


@pytest.mark.parametrize("changes", [{"state": "exited"}, {"state": "paused"}, {"health": "unhealthy"}])
def test_what_cannot_be_started_is_replaced(
    tmp_path: Path, changes: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    target = _target(tmp_path)
    target.fake_engine.cannot_start = "port is already allocated"
    _change(target.fake_engine, "nginx", **changes)
    assert preflight.prepare_stack(target, target.fake_engine) == (_urn(CONTAINER, "nginx"),)
    assert "it will be replaced: port is already allocated" in capsys.readouterr().out


def test_a_network_that_is_gone_is_created_again(tmp_path: Path) -> None:
    target = _target(tmp_path)
    target.fake_engine.all_networks = []
    preflight.prepare_stack(target, target.fake_engine)
    assert _refreshed(target) == [_urn(NETWORK, "net")]


def test_data_that_is_gone_is_said_loudly_and_its_jobs_run_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = _target(tmp_path)
    target.fake_engine.all_volumes = []
    assert preflight.prepare_stack(target, target.fake_engine) == (_urn(CONTAINER, "job"),)
    assert _refreshed(target) == [_urn(VOLUME, "data")]
    assert f"DATA IS GONE: the engine no longer has {DATA}" in capsys.readouterr().out


def test_protected_data_that_is_gone_is_not_replaced_by_nothing_unasked(tmp_path: Path) -> None:
    protected = "config:\n  letta:protectData: true\n"
    target = _target(tmp_path, stack_file=protected)
    target.fake_engine.all_volumes = []
    with pytest.raises(OperationError, match="Go on without that data"):
        preflight.prepare_stack(target, target.fake_engine)
    assert target.cli.asked == []
    assert preflight.prepare_stack(target, target.fake_engine, yes=True) == (_urn(CONTAINER, "job"),)


def test_a_container_that_someone_made_in_place_of_ours_is_not_taken_for_it(tmp_path: Path) -> None:
    target = _target(tmp_path)
    engine = target.fake_engine
    made: Container = container("redis", id="by-hand", stack_id=None, stack=None)
    engine.all_containers = [made if one.name == "redis" else one for one in engine.all_containers]
    preflight.prepare_stack(target, engine)
    assert _refreshed(target) == [_urn(CONTAINER, "redis")]
    assert made in engine.all_containers
