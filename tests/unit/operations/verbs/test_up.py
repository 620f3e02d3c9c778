"""Bringing a stack up: what is refused, cleared, updated and waited for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import settings
from operations.checks import result
from operations.console import terminal
from operations.console.errors import OperationError
from operations.console.redaction import hide
from operations.deploy import preflight, readiness
from operations.engine.protocol import Image
from operations.stack.backend import Lock
from operations.stack.checkout import Checkout
from operations.stack.pulumi_cli import PulumiCli
from operations.stack.state import CONTAINER, IMAGE, StackState
from operations.stack.target import Target
from operations.verbs.up import deploy
from testbed.fake_engine import FakeEngine, container, inspection

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("own_folders")]


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

    def stream(self, *arguments: str, omit: tuple[str, ...] = (), log: Any = None) -> None:  # noqa: ARG002
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


def resource(kind: str, name: str, **more: object) -> dict[str, object]:
    return {"urn": f"urn:pulumi:dev::letta::{kind}::{name}", "type": kind, "custom": True, "id": name, **more}


def state_of(*resources: dict[str, object], pending: tuple[str, ...] = ()) -> StackState:
    operations = [
        {"type": "creating", "resource": resource(CONTAINER, name, inputs={"name": name})} for name in pending
    ]
    return StackState({"resources": list(resources), "pending_operations": operations})


# What is refused before anything changes


def test_everything_broken_is_told_at_once_with_each_cure() -> None:
    found = (result.broken("a", "port taken", "stop it"), result.ok("b", "fine"), result.broken("c", "disk full"))
    with pytest.raises(OperationError) as raised:
        preflight.refuse_broken(found, "dev")
    words = str(raised.value)
    assert "port taken" in words
    assert "disk full" in words
    assert "stop it" in words
    assert "fine" not in words


def test_bad_settings_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path, stack_file="config:\n  letta:apiPort: 99999\n  letta:nonsense: 1\n")
    with pytest.raises(settings.SettingsError) as raised:
        preflight.check_settings(target)
    assert {problem.key for problem in raised.value.problems} == {"letta:apiPort", "letta:nonsense"}


def test_settings_with_secrets_that_cannot_be_opened_here_are_left_to_the_program(tmp_path: Path) -> None:
    text = "config:\n  letta:clickhousePassword: {secure: v1:x:y}\n"
    preflight.check_settings(FakeTarget(tmp_path, stack_file=text))


def _lock(pid: int, tmp_path: Path, host: str = "elsewhere") -> Lock:
    return Lock(path=tmp_path / "lock", pid=pid, host=host, user="ada", since="2026-01-02T03:04:05")


def test_a_lock_that_somebody_holds_is_told_with_the_holder(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="process 7 of ada@elsewhere"):
        preflight.clear_stale_locks([_lock(7, tmp_path)], lambda: None)


def test_without_locks_nothing_is_cancelled() -> None:
    preflight.clear_stale_locks([], lambda: pytest.fail("cancelled"))


# What interrupted runs left


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


def test_containers_that_an_interrupted_update_left_are_removed(tmp_path: Path) -> None:
    engine = FakeEngine(
        all_containers=[container("known"), container("creating"), container("dead", state="exited", health=None)]
    )
    state = state_of(resource(CONTAINER, "known", id="id-known"), pending=("creating",))
    target = FakeTarget(tmp_path, state=state, engine=engine)
    preflight.prepare_stack(target, engine)
    assert [one.name for one in engine.all_containers] == ["known"]
    assert "--clear-pending-creates" in target.cli.asked[0]


def test_running_containers_of_another_state_are_refused_and_left_alone(tmp_path: Path) -> None:
    engine = FakeEngine(all_containers=[container("theirs")])
    target = FakeTarget(tmp_path, engine=engine)
    with pytest.raises(OperationError, match="its state does not know: theirs") as raised:
        preflight.prepare_stack(target, engine)
    assert "LEFTOVERS=1" in str(raised.value)
    assert len(engine.all_containers) == 1
    assert target.cli.asked == []


# The update itself


def test_a_stack_of_a_developer_is_updated_without_a_question(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path)
    deploy(target, yes=False)
    (asked,) = target.cli.asked
    assert asked[0] == "up"
    assert {"--yes", "--skip-preview"} <= set(asked)


def test_a_protected_stack_is_not_updated_without_a_person(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path, stack_file="config:\n  letta:protectData: true\n")
    with pytest.raises(OperationError, match="a person confirms"):
        deploy(target, yes=False)
    assert target.cli.asked == []


def test_a_protected_stack_with_yes_is_previewed_first(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path, stack_file="config:\n  letta:protectData: true\n")
    deploy(target, yes=True)
    assert "--skip-preview" not in target.cli.asked[0]


def test_a_person_at_a_terminal_confirms_the_change_of_a_protected_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)
    target = FakeTarget(tmp_path, stack_file="config:\n  letta:protectData: true\n")
    deploy(target, yes=False)
    assert target.cli.asked[0][:2] == ("interactive", "up")


class Clock:
    """Time that passes by sleeping only."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_stack_that_does_not_answer_is_told_and_waiting_is_never_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(OperationError, match="does not answer after 25 s: status 502"):
        readiness.wait_until_answering("http://x", seconds=25, ask=lambda _url: "status 502", clock=Clock())
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_stack_that_answers_is_not_waited_for() -> None:
    clock = Clock()
    readiness.wait_until_answering("http://x", seconds=5, ask=lambda _url: None, clock=clock)
    assert clock.now == 0


def test_unwell_containers_are_shown_with_the_end_of_their_log_and_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hide(["hunter22"])
    sick = container("sick", health="unhealthy")
    log = "\n".join(f"line {number}" for number in range(30)) + "\npassword=hunter22"
    engine = FakeEngine(all_containers=[container("well"), sick], logs={sick.id: log})
    count = readiness.report_trouble(engine, "dev")
    words = capsys.readouterr().out
    assert count == 1
    assert "sick (letta): unhealthy" in words
    assert "password=[secret]" in words
    assert "line 10\n" not in words
    assert "line 29" in words
    assert "well" not in words.replace("unwell", "")


def test_a_job_that_succeeded_is_no_trouble_to_report() -> None:
    job = container("job", state="exited", health=None)
    engine = FakeEngine(all_containers=[job], inspections={job.id: inspection(is_job=True)})
    assert readiness.report_trouble(engine, "dev") == 0
