"""The doctor's findings, and the shell's variables."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from operations.checks import machine, network, stack
from operations.checks.network import Registry, RegistryProbe, Trust
from operations.checks.result import Check, CheckState
from operations.engine.protocol import EngineFacts, Image, Volume
from operations.stack.backend import Lock
from operations.stack.checkout import Checkout, StackFile
from operations.stack.state import IMAGE, StackState
from operations.stack.target import Target
from operations.verbs.env import exports
from operations.verbs.status import services
from testbed.fake_engine import FakeEngine, container, inspection

pytestmark = pytest.mark.unit

GB = 1_000_000_000
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _facts(**changes: object) -> EngineFacts:
    facts: dict[str, object] = {
        "version": "20.10.24+dfsg1",
        "operating_system": "Debian",
        "storage_driver": "overlay2",
        "root": "/var/lib/docker",
        "cpus": 2,
        "memory": 8 * GB,
        "time": "2026-01-02T03:04:05.123456789Z",
        "registry_hosts": (),
    }
    return EngineFacts(**{**facts, **changes})  # type: ignore[arg-type]


def _file(**config: object) -> StackFile:
    return StackFile(
        stack="dev",
        path=Path("Pulumi.dev.yaml"),
        config={f"letta:{key}": value for key, value in config.items()},
        defaults={},
        encryption_salt=None,
        secrets_provider=None,
    )


# The machine


def test_an_absent_engine_is_broken_with_the_reason_and_ways_to_start_it() -> None:
    check = machine.engine_check(None, None, "unix:///x: Permission denied")
    assert check.state is CheckState.BROKEN
    assert "Permission denied" in check.detail
    assert any("usermod" in step for step in check.fix)


@pytest.mark.parametrize(
    ("version", "state"),
    [("20.10.24+dfsg1", CheckState.OK), ("26.1.5", CheckState.OK), ("19.03.1", CheckState.BROKEN)],
)
def test_an_engine_that_is_too_old_is_broken(version: str, state: CheckState) -> None:
    assert machine.engine_check(FakeEngine(), _facts(version=version)).state is state


@pytest.mark.parametrize(
    ("free", "state"), [(1 * GB, CheckState.BROKEN), (5 * GB, CheckState.NOTE), (50 * GB, CheckState.OK)]
)
def test_disk_is_broken_noted_or_enough(tmp_path: Path, free: int, state: CheckState) -> None:
    check = machine.disk_check("disk", tmp_path / "not" / "there" / "yet", free=free)
    assert check.state is state
    assert str(tmp_path) in check.detail


def test_memory_is_compared_with_what_the_services_may_take() -> None:
    assert machine.memory_check(_file(), 8 * GB, None).state is CheckState.OK
    assert machine.memory_check(_file(lettaMemoryMb=16384), 8 * GB, None).state is CheckState.NOTE
    assert machine.memory_check(_file(lettaReplicas=6), 8 * GB, None).state is CheckState.NOTE
    assert machine.memory_check(_file(), 1 * GB, None).state is CheckState.BROKEN


def test_a_clock_that_is_off_is_broken_and_says_by_how_much() -> None:
    check = machine.clock_check(NOW, [("near", NOW), ("far", NOW + timedelta(seconds=90))])
    assert check.state is CheckState.BROKEN
    assert "90 s behind far" in check.detail
    assert machine.clock_check(NOW, [("near", NOW + timedelta(seconds=3))]).state is CheckState.OK
    assert machine.clock_check(NOW, []).state is CheckState.UNKNOWN


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05.123456789Z", "2026-01-02T05:04:05.123456789+02:00"])
def test_the_engines_clock_is_read_to_the_second(text: str) -> None:
    assert machine.engine_time(_facts(time=text)) == NOW


def test_a_clock_that_cannot_be_read_is_no_clock() -> None:
    assert machine.engine_time(_facts(time="")) is None


# The network


def _runner(**answers: str) -> network.Run:
    def run(command: Sequence[str]) -> str:
        return next((text for words, text in answers.items() if words.replace("_", " ") in " ".join(command)), "")

    return run


def test_the_index_comes_from_variables_then_pips_files_then_pips_own_default() -> None:
    given = {"PIP_INDEX_URL": "https://a.example/simple"}
    run = _runner(
        config_list="global.index-url='https://b.example/simple'\n", install="(default https://c.example/s)"
    )
    assert network.python_index(given, run) == "https://a.example/simple"
    assert network.python_index({}, run) == "https://b.example/simple"
    helped = _runner(install="Base URL (default\n https://c.example/s). This")
    assert network.python_index({}, helped) == "https://c.example/s"
    assert network.python_index({}, _runner()) == ""


def test_registries_are_those_of_pip_go_and_the_engine_each_host_once() -> None:
    run = _runner(
        GOPROXY="https://m.example/go,https://p.example|direct", config_list="global.index-url=https://m.example/x"
    )
    found = network.registries({}, ["r.example"], run)
    assert [(one.client, one.host) for one in found] == [
        ("pip", "m.example"),
        ("go", "p.example"),
        ("docker", "r.example"),
    ]


def _look(host: str, *, resolves: bool = True, trust: Trust = Trust.PUBLIC) -> RegistryProbe:
    return RegistryProbe(
        registry=Registry(client="pip", url=f"https://{host}/"), resolves=resolves, trust=trust, date=NOW
    )


def test_names_that_do_not_resolve_are_broken_only_when_none_does() -> None:
    lost, found = _look("lost", resolves=False), _look("found")
    assert network.dns_check([lost], by_proxy=False).state is CheckState.BROKEN
    assert network.dns_check([lost, found], by_proxy=False).state is CheckState.NOTE
    assert network.dns_check([found], by_proxy=False).state is CheckState.OK
    assert network.dns_check([lost], by_proxy=True).state is CheckState.OK
    assert network.dns_check([], by_proxy=False).state is CheckState.UNKNOWN


def test_interception_is_noted_until_the_builds_are_given_the_authority() -> None:
    looks = [_look("opened", trust=Trust.INTERCEPTED)]
    noted = network.tls_check(looks, ca_bundle="", environment={"SSL_CERT_FILE": "/etc/ca.pem"})
    assert noted.state is CheckState.NOTE
    assert noted.fix == ("`pulumi config set caBundle /etc/ca.pem`",)
    assert network.tls_check(looks, ca_bundle="/ca.pem", environment={}).state is CheckState.OK
    found = network.tls_check(looks, ca_bundle="", environment={"LETTA_CA_BUNDLE": "/found.pem"})
    assert found.state is CheckState.OK
    assert "/found.pem" in found.detail


def test_an_authority_that_nobody_trusts_is_broken_and_no_answer_is_unknown() -> None:
    untrusted, silent = _look("a", trust=Trust.UNTRUSTED), _look("b", trust=Trust.UNREACHABLE)
    assert network.tls_check([untrusted], ca_bundle="", environment={}).state is CheckState.BROKEN
    assert network.tls_check([silent], ca_bundle="", environment={}).state is CheckState.UNKNOWN
    assert network.tls_check([_look("c")], ca_bundle="", environment={}).state is CheckState.OK


# Pulumi and the stack


def _target(tmp_path: Path, stack_file: str = "", **environment: str) -> Target:
    (tmp_path / "Pulumi.yaml").write_text("name: letta\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(stack_file)
    return Target(stack="dev", environment=environment, checkout=Checkout(tmp_path))


def test_a_passphrase_that_others_can_read_is_noted_with_the_cure(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("x")
    file.chmod(0o644)
    check = stack.passphrase_check(_target(tmp_path, PULUMI_CONFIG_PASSPHRASE_FILE=str(file)))
    assert (check.state, check.fix) == (CheckState.NOTE, (f"`chmod 600 {file}`",))


def test_with_another_stacks_passphrase_all_else_is_checked_nevertheless(tmp_path: Path) -> None:
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


def test_bad_settings_are_broken_with_the_commands_that_mend_them(tmp_path: Path) -> None:
    check = stack.settings_check(_target(tmp_path, "config:\n  letta:apiPort: 99999\n"))
    assert check.state is CheckState.BROKEN
    assert "letta:apiPort" in check.detail
    assert "pulumi config set" in check.fix[0]


def test_a_missing_cli_is_broken(tmp_path: Path) -> None:
    assert stack.pulumi_check(_target(tmp_path, PATH="/nowhere")).state is CheckState.BROKEN


def test_locks_are_told_apart_by_whether_their_process_lives(tmp_path: Path) -> None:
    held = Lock(path=tmp_path, pid=os.getpid(), host="elsewhere", user="ada", since="now")
    assert "an update runs" in stack.lock_check([held]).detail
    assert stack.lock_check([]).state is CheckState.OK


def test_unwell_services_are_broken_and_point_to_their_logs() -> None:
    check = stack.service_check(FakeEngine(), [container("a"), container("b", health="unhealthy")], "dev")
    assert check.state is CheckState.BROKEN
    assert "`docker logs b`" in check.fix


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


def test_every_finding_that_is_broken_has_a_cure_when_everything_is_wrong(tmp_path: Path) -> None:
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


# The shell and the status


def test_exports_survive_a_shell_whatever_is_in_them() -> None:
    awkward = 'it\'s $HOME `id` "x"\nsecond line'
    lines = exports({"AWKWARD": awkward, "SAME": "1"}, {"SAME": "1"})
    assert "SAME" not in lines
    done = subprocess.run(
        ["bash", "-c", f'{lines}\nprintf %s "$AWKWARD"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == awkward


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


def test_findings_are_json_for_programs() -> None:
    from dataclasses import asdict

    check = machine.cpu_check(1)
    assert json.loads(json.dumps(asdict(check)))["state"] == "note"
