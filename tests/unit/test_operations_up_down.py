"""Bringing a stack up and taking it down: what is refused, cleared, kept and said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import settings
from operations import checks, endpoints, health, labels, preparation, terminal
from operations.backend import Lock
from operations.checkout import Checkout
from operations.down import down, look, remove_readers
from operations.engine import Image, Network, Volume
from operations.failure import OperationError
from operations.pulumi_cli import PulumiCli
from operations.stack_state import CONTAINER, IMAGE, StackState
from operations.target import Target
from operations.up import deploy
from tests.unit.test_operations_engine import FakeEngine, container, inspection

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]


class FakePulumi:
    """Stands in for the CLI; notes what it is asked, and does what a test hangs on it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.on: dict[str, Callable[[], None]] = {}
        self.environment: dict[str, str] = {"NO_COLOR": "1"}

    def _do(self, arguments: tuple[str, ...]) -> None:
        self.asked.append(arguments)
        self.on.get(arguments[0], lambda: None)()

    def answer(self, *arguments: str) -> str:
        self._do(arguments)
        return ""

    def stream(self, *arguments: str, show: Any, log: Any = None) -> None:  # noqa: ARG002
        self._do(arguments)

    def interactive(self, *arguments: str) -> None:
        self._do(("interactive", *arguments))

    @property
    def verbs(self) -> list[str]:
        return [" ".join(word for word in one[:2] if not word.startswith("-")) for one in self.asked]


class FakeTarget(Target):
    """A target with a fake CLI, a fake engine and a given state."""

    def __init__(
        self,
        folder: Path,
        *,
        state: StackState | None = None,
        engine: FakeEngine | None = None,
        stack_file: str = "",
    ) -> None:
        (folder / "Pulumi.yaml").write_text("name: letta\n")
        (folder / "Pulumi.dev.yaml").write_text(stack_file)
        super().__init__(stack="dev", environment={}, checkout=Checkout(folder))
        object.__setattr__(self, "cli", FakePulumi())
        object.__setattr__(self, "fake_engine", engine or FakeEngine())
        object.__setattr__(self, "known", state)

    cli: FakePulumi
    fake_engine: FakeEngine
    known: StackState | None

    def pulumi(self) -> PulumiCli:
        return self.cli  # type: ignore[return-value]

    def engine(self) -> FakeEngine:
        return self.fake_engine

    def exists(self) -> bool:
        return self.known is not None

    def state(self) -> StackState:
        return self.known or StackState({})


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LETTA_CACHE_HOME", str(tmp_path / "cache"))


def _resource(kind: str, name: str, **more: object) -> dict[str, object]:
    return {"urn": f"urn:pulumi:dev::letta::{kind}::{name}", "type": kind, "custom": True, "id": name, **more}


def _state(*resources: dict[str, object], pending: tuple[str, ...] = ()) -> StackState:
    operations = [
        {"type": "creating", "resource": _resource(CONTAINER, name, inputs={"name": name})} for name in pending
    ]
    return StackState({"resources": list(resources), "pending_operations": operations})


def _nothing(_line: str) -> None:
    return


# What is refused before anything changes


def test_everything_broken_is_told_at_once_with_each_cure() -> None:
    found = (checks.broken("a", "port taken", "stop it"), checks.ok("b", "fine"), checks.broken("c", "disk full"))
    with pytest.raises(OperationError) as raised:
        preparation.refuse_broken(found, "dev")
    words = str(raised.value)
    assert "port taken" in words
    assert "disk full" in words
    assert "stop it" in words
    assert "fine" not in words


def test_bad_settings_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path, stack_file="config:\n  letta:apiPort: 99999\n  letta:nonsense: 1\n")
    with pytest.raises(settings.SettingsError) as raised:
        preparation.check_settings(target)
    assert {problem.key for problem in raised.value.problems} == {"letta:apiPort", "letta:nonsense"}


def test_settings_with_secrets_that_cannot_be_opened_here_are_left_to_the_program(tmp_path: Path) -> None:
    text = "config:\n  letta:clickhousePassword: {secure: v1:x:y}\n"
    preparation.check_settings(FakeTarget(tmp_path, stack_file=text))


def _lock(pid: int, tmp_path: Path, host: str = "elsewhere") -> Lock:
    return Lock(path=tmp_path / "lock", pid=pid, host=host, user="ada", since="2026-01-02T03:04:05")


def test_a_lock_that_somebody_holds_is_told_with_the_holder(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="process 7 of ada@elsewhere"):
        preparation.clear_stale_locks([_lock(7, tmp_path)], lambda: None, _nothing)


def test_without_locks_nothing_is_cancelled() -> None:
    preparation.clear_stale_locks([], lambda: pytest.fail("cancelled"), _nothing)


# What interrupted runs left


def test_an_image_that_was_pruned_by_hand_is_refreshed_so_that_it_is_built_again(tmp_path: Path) -> None:
    state = _state(
        _resource(IMAGE, "letta", outputs={"name": "x:1"}), _resource(IMAGE, "nginx", outputs={"name": "y:1"})
    )
    engine = FakeEngine(all_images=[Image(id="i", tags=("x:1",), size=1, ours=True)])
    target = FakeTarget(tmp_path, state=state, engine=engine)
    preparation.prepare_stack(target, engine, _nothing)
    (asked,) = target.cli.asked
    assert asked[0] == "refresh"
    assert [part for part in asked if part.startswith("urn:")] == [f"urn:pulumi:dev::letta::{IMAGE}::nginx"]


def test_when_all_is_there_pulumi_is_not_started_at_all(tmp_path: Path) -> None:
    engine = FakeEngine(all_containers=[container("c")])
    target = FakeTarget(tmp_path, state=_state(_resource(CONTAINER, "c", id="id-c")), engine=engine)
    preparation.prepare_stack(target, engine, _nothing)
    assert target.cli.asked == []
    assert len(engine.all_containers) == 1


def test_a_stack_that_is_not_known_is_created(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path)
    preparation.prepare_stack(target, target.fake_engine, _nothing)
    assert target.cli.verbs == ["stack init"]


def test_containers_that_an_interrupted_update_left_are_removed(tmp_path: Path) -> None:
    engine = FakeEngine(
        all_containers=[container("known"), container("creating"), container("dead", state="exited", health=None)]
    )
    state = _state(_resource(CONTAINER, "known", id="id-known"), pending=("creating",))
    target = FakeTarget(tmp_path, state=state, engine=engine)
    preparation.prepare_stack(target, engine, _nothing)
    assert [one.name for one in engine.all_containers] == ["known"]
    assert "--clear-pending-creates" in target.cli.asked[0]


def test_running_containers_of_another_state_are_refused_and_left_alone(tmp_path: Path) -> None:
    engine = FakeEngine(all_containers=[container("theirs")])
    target = FakeTarget(tmp_path, engine=engine)
    with pytest.raises(OperationError, match="its state does not know: theirs") as raised:
        preparation.prepare_stack(target, engine, _nothing)
    assert "LEFTOVERS=1" in str(raised.value)
    assert len(engine.all_containers) == 1
    assert target.cli.asked == []


# The update itself


def test_a_stack_of_a_developer_is_updated_without_a_question(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path)
    deploy(target, yes=False, show=_nothing)
    (asked,) = target.cli.asked
    assert asked[0] == "up"
    assert {"--yes", "--skip-preview"} <= set(asked)


def test_a_protected_stack_is_not_updated_without_a_person(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path, stack_file="config:\n  letta:protectData: true\n")
    with pytest.raises(OperationError, match="a person confirms"):
        deploy(target, yes=False, show=_nothing)
    assert target.cli.asked == []


def test_a_protected_stack_with_yes_is_previewed_first(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path, stack_file="config:\n  letta:protectData: true\n")
    deploy(target, yes=True, show=_nothing)
    assert "--skip-preview" not in target.cli.asked[0]


def test_a_person_at_a_terminal_confirms_the_change_of_a_protected_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)
    target = FakeTarget(tmp_path, stack_file="config:\n  letta:protectData: true\n")
    deploy(target, yes=False, show=_nothing)
    assert target.cli.asked[0][:2] == ("interactive", "up")


class Clock:
    """Time that passes by sleeping only."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_stack_that_does_not_answer_is_told_and_waiting_is_never_silent() -> None:
    shown: list[str] = []
    with pytest.raises(OperationError, match="does not answer after 25 s: status 502"):
        health.wait_until_answering(
            "http://x", seconds=25, show=shown.append, ask=lambda _url: "status 502", clock=Clock()
        )
    assert len(shown) == 2


def test_a_stack_that_answers_is_not_waited_for() -> None:
    clock = Clock()
    health.wait_until_answering("http://x", seconds=5, show=pytest.fail, ask=lambda _url: None, clock=clock)
    assert clock.now == 0


def test_unwell_containers_are_shown_with_the_end_of_their_log_and_without_secrets() -> None:
    sick = container("sick", health="unhealthy")
    log = "\n".join(f"line {number}" for number in range(30)) + "\npassword=hunter22"
    engine = FakeEngine(all_containers=[container("well"), sick], logs={sick.id: log})
    shown: list[str] = []
    count = health.report_trouble(
        engine, "dev", clean=lambda text: text.replace("hunter22", "[secret]"), show=shown.append
    )
    words = "\n".join(shown)
    assert count == 1
    assert "sick (letta): unhealthy" in words
    assert "password=[secret]" in words
    assert "line 10\n" not in words
    assert "line 29" in words
    assert "well" not in words.replace("unwell", "")


# What is shown at the end

OUTPUTS = {
    "apiUrl": "http://127.0.0.1:8283",
    "healthUrl": "http://127.0.0.1:8283/v1/health/",
    "tracesVolume": "letta-dev-traces",
    "tracesFile": "traces.json",
    "serverPassword": None,
}


def test_the_table_tells_where_everything_is_and_never_the_password() -> None:
    rows = dict(endpoints.rows(OUTPUTS, "dev"))
    assert rows["API"] == "http://127.0.0.1:8283"
    assert rows["password"] == "`pulumi stack output serverPassword --show-secrets --stack dev`"
    assert "make traces" in rows["traces"]


def test_the_snippets_are_shell_that_a_shell_accepts() -> None:
    text = endpoints.snippets(OUTPUTS, root=Path("/somewhere with space"), stack="dev")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    program = text.split("<<'EOF'\n")[1].split("\nEOF")[0]
    compile(program, "snippet", "exec")
    assert "'/somewhere with space'" in text


def test_the_snippets_run_as_they_are_against_a_server(tmp_path: Path) -> None:
    """Paste them into bash, with stand-ins for make, pulumi and curl; the SDK gets the URL and the password."""
    tools = tmp_path / "bin"
    tools.mkdir()
    scripts = {
        "make": 'echo "export FROM_MAKE=1"',
        "pulumi": '[ -n "$FROM_MAKE" ] && echo hunter22',
        "curl": "printf 'curl'; printf ' %s' \"$@\"; echo",
        "python": f'exec {sys.executable} -c "import os,sys; print(sys.stdin.read().count(chr(10)), '
        "os.environ['LETTA_API_KEY'])\"",
    }
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    done = subprocess.run(
        ["bash", "-e"],
        input=endpoints.snippets(OUTPUTS, root=tmp_path, stack="dev") + "\n",
        env={"PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "curl -sS -w \\n -H Authorization: Bearer hunter22 http://127.0.0.1:8283/v1/models/" in done.stdout
    assert done.stdout.strip().endswith("hunter22")


def test_without_a_model_provider_the_first_next_step_is_to_give_one() -> None:
    assert "openaiApiKey" in endpoints.next_steps(OUTPUTS, "dev", has_provider=False)[0]
    assert not any("openaiApiKey" in step for step in endpoints.next_steps(OUTPUTS, "dev", has_provider=True))


def test_data_services_alone_come_with_what_a_server_from_source_needs(tmp_path: Path) -> None:
    outputs = {"postgresUrl": None, "redisUrl": "redis://localhost:6379"}
    text = endpoints.snippets(outputs, root=tmp_path, stack="dev")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    assert "LETTA_REDIS_HOST=localhost LETTA_REDIS_PORT=6379" in text
    steps = " ".join(endpoints.next_steps(outputs, "dev", has_provider=False))
    assert "openaiApiKey" not in steps
    assert "traces" not in steps


def test_commands_name_the_stack_only_when_it_is_not_the_usual_one() -> None:
    assert endpoints.make("up", "dev") == "make up"
    assert endpoints.make("up", "prod") == "make up STACK=prod"


# Taking it down


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
    target = FakeTarget(tmp_path, state=_state(_resource(CONTAINER, "c")), engine=engine)
    target.cli.on["destroy"] = lambda: _empty(engine)
    down(target, yes=True, leftovers=False)
    assert target.cli.verbs == ["destroy", "stack rm"]
    assert "--preserve-config" in target.cli.asked[1]
    assert [one.name for one in engine.all_containers] == ["other"]
    assert "is gone" in capsys.readouterr().out


def test_down_asks_and_without_a_person_it_does_nothing(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path, state=_state(_resource(CONTAINER, "c")), engine=_deployed())
    with pytest.raises(OperationError, match="YES=1"):
        down(target, yes=False, leftovers=False)
    assert target.cli.asked == []


@pytest.mark.parametrize(
    ("stack_file", "protect"),
    [("config:\n  letta:protectData: true\n", False), ("", True)],
    ids=["setting", "state"],
)
def test_a_protected_stack_is_not_destroyed_and_the_way_is_said(
    tmp_path: Path, stack_file: str, protect: bool
) -> None:
    state = _state(_resource(CONTAINER, "c", protect=protect))
    target = FakeTarget(tmp_path, state=state, engine=_deployed(), stack_file=stack_file)
    with pytest.raises(OperationError, match="protectData false"):
        down(target, yes=True, leftovers=True)
    assert target.cli.asked == []


def test_what_destroy_leaves_is_removed_but_data_is_left_and_named(tmp_path: Path) -> None:
    engine = _deployed()
    target = FakeTarget(tmp_path, state=_state(_resource(CONTAINER, "c")), engine=engine)
    with pytest.raises(OperationError, match="volume letta-dev-postgres-data") as raised:
        down(target, yes=True, leftovers=False)
    left = look(engine, "dev")
    assert (left.containers, left.networks, [one.name for one in left.volumes]) == (
        (),
        (),
        ["letta-dev-postgres-data"],
    )
    assert "LEFTOVERS=1" in str(raised.value)


def test_a_volume_of_which_nothing_is_known_counts_as_data(tmp_path: Path) -> None:
    unknown = Volume(name="letta-dev-postgres-data", stack="dev", stack_id=None, service=None)
    engine = FakeEngine(all_volumes=[unknown])
    target = FakeTarget(tmp_path, state=_state(_resource(CONTAINER, "c")), engine=engine)
    with pytest.raises(OperationError, match="left on the engine"):
        down(target, yes=True, leftovers=False)
    assert engine.all_volumes == [unknown]


def test_leftovers_of_a_lost_state_are_removed_when_told_so(tmp_path: Path) -> None:
    engine = _deployed()
    target = FakeTarget(tmp_path, engine=engine)
    down(target, yes=True, leftovers=True)
    assert look(engine, "dev").is_nothing
    assert [one.name for one in engine.all_containers] == ["other"]


def test_what_another_state_may_manage_is_not_touched_unasked(tmp_path: Path) -> None:
    engine = _deployed()
    with pytest.raises(OperationError, match="another backend manages them"):
        down(FakeTarget(tmp_path, engine=engine), yes=True, leftovers=False)
    assert len(engine.all_containers) == 2


def test_down_of_a_stack_that_is_not_there_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    down(FakeTarget(tmp_path), yes=False, leftovers=False)
    assert "nothing to do" in capsys.readouterr().out


def test_readers_of_traces_end_before_the_volume_goes() -> None:
    reader = replace(container("reader", stack=None, service=None), labels=((labels.READER, "dev"),))
    other = replace(container("reader2", stack=None, service=None), labels=((labels.READER, "test"),))
    engine = FakeEngine(all_containers=[reader, other])
    remove_readers(engine, "dev")
    assert engine.all_containers == [other]


def test_questions_are_answered_by_yes_or_by_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal.confirm("Sure?", yes=True)
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)
    monkeypatch.setattr("sys.stdin.readline", lambda: "y\n", raising=False)
    terminal.confirm("Sure?", yes=False)
    monkeypatch.setattr("sys.stdin.readline", lambda: "\n", raising=False)
    with pytest.raises(OperationError, match="not done"):
        terminal.confirm("Sure?", yes=False)


def test_a_job_that_succeeded_is_no_trouble_to_report() -> None:
    job = container("job", state="exited", health=None)
    engine = FakeEngine(all_containers=[job], inspections={job.id: inspection(is_job=True)})
    assert health.report_trouble(engine, "dev", clean=str, show=_nothing) == 0
