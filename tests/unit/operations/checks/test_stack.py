"""What the doctor finds about Pulumi and the stack."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from operations.checks import machine, stack
from operations.checks.drift import Difference, differences
from operations.checks.leftovers import Leftovers
from operations.checks.result import Check, CheckState
from operations.engine.protocol import Container, Image, Network, Volume
from operations.stack.backend import Lock
from operations.stack.checkout import Checkout
from operations.stack.state import CONTAINER, IMAGE, NETWORK, VOLUME, StackState
from operations.stack.target import Target
from testbed.fake_engine import FakeEngine, container, inspection
from testbed.fake_target import resource, service_resource, state_of

pytestmark = pytest.mark.unit


def _target(tmp_path: Path, stack_file: str = "", **environment: str) -> Target:
    (tmp_path / "Pulumi.yaml").write_text("name: letta\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(stack_file)
    return Target(stack="dev", environment=environment, checkout=Checkout(tmp_path))


def test_a_passphrase_that_others_can_read_is_noted_with_the_fix(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("x")
    file.chmod(0o644)
    check = stack.passphrase_check(_target(tmp_path, PULUMI_CONFIG_PASSPHRASE_FILE=str(file)))
    assert (check.state, check.fix) == (CheckState.NOTE, (f"`chmod 600 {file}`",))


def test_with_another_stacks_passphrase_all_else_is_still_checked(tmp_path: Path) -> None:
    salt = "v1:KgFVTCT5DiA=:v1:zD4qoE8daPxQdru2:N/EmbpwTNjsC4wwagodn2GHcNUnkSg=="
    (tmp_path / "toolchain").mkdir()
    (tmp_path / "toolchain" / "versions.toml").write_text("plugin = []\n")
    target = _target(
        tmp_path,
        f"encryptionsalt: {salt}\n",
        PULUMI_CONFIG_PASSPHRASE="wrong",
        PULUMI_BACKEND_URL=f"file://{tmp_path}/backend",
    )
    found = {check.name: check.state for check in stack.stack_checks(target, FakeEngine())}
    assert found["passphrase"] is CheckState.BROKEN
    assert found["volumes"] is CheckState.OK


def test_a_passphrase_file_that_is_gone_is_broken(tmp_path: Path) -> None:
    check = stack.passphrase_check(_target(tmp_path, PULUMI_CONFIG_PASSPHRASE_FILE="/not/there"))
    assert check.state is CheckState.BROKEN


def test_a_missing_cli_is_broken(tmp_path: Path) -> None:
    assert stack.pulumi_check(_target(tmp_path, PATH="/nowhere")).state is CheckState.BROKEN


def test_a_lock_that_a_process_holds_is_noted(tmp_path: Path) -> None:
    held = Lock(path=tmp_path, pid=os.getpid(), host="elsewhere", user="ada", since="now")
    assert "an update runs" in stack.lock_check([held]).detail
    assert stack.lock_check([]).state is CheckState.OK


def test_unhealthy_services_are_broken_and_point_to_their_logs() -> None:
    check = stack.service_check(FakeEngine(), [container("a"), container("b", health="unhealthy")], "dev")
    assert check.state is CheckState.BROKEN
    assert "`docker logs b`" in check.fix


def _differing(*there: Container) -> tuple[Difference, ...]:
    job = resource(CONTAINER, "job", id="id-job", inputs={"restart": "no"})
    state = state_of(service_resource("redis", networks=("net",)), job, resource(NETWORK, "net", id="n"))
    networks = (Network(id="n", name="net", stack="dev"),)
    return differences(state, Leftovers(containers=there, networks=networks), ())


REDIS, JOB = container("redis", networks=("net",)), container("job", state="exited", health=None)
FOUND: dict[str, tuple[tuple[Container, ...], CheckState, str]] = {
    "well": ((REDIS, JOB), CheckState.OK, "1 running"),
    "starting": ((replace(REDIS, health="starting"), JOB), CheckState.OK, "1 running"),
    "docker rm -f": ((JOB,), CheckState.BROKEN, "redis: missing"),
    "docker stop": ((replace(REDIS, state="exited"), JOB), CheckState.BROKEN, "redis: exited with exit code 0"),
    "docker pause": ((replace(REDIS, state="paused"), JOB), CheckState.BROKEN, "redis: paused"),
    "unhealthy": ((replace(REDIS, health="unhealthy"), JOB), CheckState.BROKEN, "redis: unhealthy"),
    "disconnected": ((replace(REDIS, networks=()), JOB), CheckState.BROKEN, "redis: disconnected (not in net)"),
    "everything gone": ((), CheckState.BROKEN, "redis: missing"),
    "job pruned": ((REDIS,), CheckState.NOTE, "docker container prune`: job"),
}


@pytest.mark.parametrize(("there", "verdict", "words"), FOUND.values(), ids=list(FOUND))
def test_what_should_run_and_does_not_is_broken(
    there: tuple[Container, ...], verdict: CheckState, words: str
) -> None:
    engine = FakeEngine(all_containers=list(there), inspections={"id-job": inspection(is_job=True)})
    check = stack.service_check(engine, there, "dev", _differing(*there))
    assert check.state is verdict
    assert words in check.detail
    assert check.detail.count("redis:") == (1 if verdict is CheckState.BROKEN else 0), "said once"
    assert any("`make up STACK=dev`" in step for step in check.fix) is (verdict is not CheckState.OK)


def test_a_network_that_is_gone_is_broken() -> None:
    gone = differences(state_of(resource(NETWORK, "net", id="n")), Leftovers(), ())
    check = stack.service_check(FakeEngine(), [REDIS], "dev", gone)
    assert (check.state, check.detail) == (CheckState.BROKEN, "network net: missing")


@pytest.mark.parametrize(("service", "words"), [("data", "with the data in them"), ("scratch", "engine: v")])
def test_a_volume_that_is_gone_is_broken_and_lost_data_is_called_so(service: str, words: str) -> None:
    labels = [{"label": "letta-platform.service", "value": service}]
    state = state_of(resource(VOLUME, "v", outputs={"name": "v"}, inputs={"labels": labels}))
    check = stack.volume_check("dev", state, [])
    assert check.state is CheckState.BROKEN
    assert words in check.detail
    assert any("backup" in step for step in check.fix) is (service == "data")


def test_data_volumes_that_no_state_knows_are_broken_and_never_removed_by_the_doctor() -> None:
    volume = Volume(name="letta-dev-postgres-data", stack="dev", stack_id="other", service="data")
    check = stack.volume_check("dev", StackState({}), [volume])
    assert check.state is CheckState.BROKEN
    assert "docker volume rm letta-dev-postgres-data" in " ".join(check.fix)
    known = StackState({"resources": [{"type": "docker:index/volume:Volume", "outputs": {"name": volume.name}}]})
    assert stack.volume_check("dev", known, [volume]).state is CheckState.OK


def test_pruned_images_are_noted() -> None:
    state = StackState({"resources": [{"type": IMAGE, "urn": "a::letta", "outputs": {"name": "x:1"}}]})
    assert stack.image_check(state, FakeEngine()).state is CheckState.NOTE
    there = FakeEngine(all_images=[Image(id="i", tags=("x:1",), size=1, ours=True)])
    assert stack.image_check(state, there).state is CheckState.OK


def test_every_finding_that_is_broken_has_a_fix_when_everything_is_wrong(tmp_path: Path) -> None:
    versions = tmp_path / "toolchain" / "versions.toml"
    versions.parent.mkdir()
    versions.write_text('[[plugin]]\nkind = "resource"\nname = "docker"\nversion = "1.0.0"\n')
    target = _target(
        tmp_path,
        "config:\n  letta:apiPort: x\n",
        PATH="/nowhere",
        PULUMI_HOME=str(tmp_path),
        PULUMI_BACKEND_URL=f"file://{tmp_path}/backend",
    )
    found: tuple[Check, ...] = (
        *stack.stack_checks(target, None),
        machine.engine_check(None, None),
        machine.disk_check("disk", tmp_path, free=0),
    )
    broken = [check for check in found if check.state is CheckState.BROKEN]
    assert {check.name for check in broken} >= {"pulumi", "plugins", "passphrase", "settings", "engine", "disk"}
    assert all(check.fix for check in broken)
