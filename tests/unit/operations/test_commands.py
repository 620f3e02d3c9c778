"""Running programs: output, silence, signals, events, and what is said when they fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from operations.console import process
from operations.console.errors import OperationError
from operations.console.redaction import Redactor
from operations.stack.event_log import EventLog, describe
from operations.stack.known_errors import hints
from operations.stack.pulumi_cli import PulumiCli
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

URN = "urn:pulumi:dev::letta::docker:index/container:Container::server"


def _event(kind: str, operation: str = "create", *, at: int = 100, custom: bool = True, urn: str = URN) -> str:
    metadata = {
        "op": operation,
        "urn": urn,
        "type": "docker:index/container:Container",
        "new": {"custom": custom},
    }
    return json.dumps({"sequence": 1, "timestamp": at, kind: {"metadata": metadata}}) + "\n"


def _run(script: str, tmp_path: Path, **more: object) -> tuple[process.Ended, list[str]]:
    shown: list[str] = []
    arguments: dict[str, object] = {
        "directory": tmp_path,
        "environment": dict(os.environ),
        "show": shown.append,
        "when_silent": lambda _seconds: "still there",
    }
    ended = process.run([sys.executable, "-uc", script], **{**arguments, **more})  # type: ignore[arg-type]
    return ended, shown


def test_output_is_shown_line_by_line_and_the_exit_code_is_given(tmp_path: Path) -> None:
    ended, shown = _run("import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)", tmp_path)
    assert (ended.code, shown, ended.tail) == (3, ["one", "two"], "one\ntwo")


def test_silence_is_broken_until_the_program_ends(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    spoken: list[float] = []

    def when_silent(seconds: float) -> str:
        spoken.append(seconds)
        if len(spoken) == 2:
            gate.open("w").close()
        return "still there"

    ended, shown = _run(
        f"open({str(gate)!r}).read(); print('done')", tmp_path, when_silent=when_silent, silence=0.01
    )
    assert ended.code == 0
    assert shown[:2] == ["still there", "still there"]
    assert "done" in shown


def test_secrets_are_taken_out_of_what_is_shown_logged_and_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as file:
        ended, shown = _run("print('key is hunter22')", tmp_path, clean=Redactor(["hunter22"]), log=file)
    assert shown == ["key is [secret]"]
    assert "hunter22" not in ended.tail + log.read_text()


def test_an_interrupt_is_passed_on_once_and_the_program_ends_in_its_own_way(tmp_path: Path) -> None:
    script = (
        "import signal, sys\n"
        "def stop(*_):\n    print('stopping in order'); sys.exit(5)\n"
        "signal.signal(signal.SIGINT, stop)\nprint('ready')\nsignal.pause()"
    )
    shown: list[str] = []

    def show(line: str) -> None:
        shown.append(line)
        if line == "ready":
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()

    ended, _ = _run(script, tmp_path, show=show)
    assert ended.code == 5
    assert shown.count("stopping in order") == 1


def test_a_program_that_does_not_end_is_ended_at_once_when_that_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "ONE_WISH_SECONDS", 0.0)
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, lambda *_: print('asked', flush=True))\n"
        "print('ready')\nwhile True: signal.pause()"
    )
    shown: list[str] = []

    def interrupt() -> None:
        threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM)).start()

    def show(line: str) -> None:
        shown.append(line)
        if line in {"ready", "asked"}:
            interrupt()

    ended, _ = _run(script, tmp_path, show=show, when_silent=None, insist=signal.SIGKILL)
    assert ended.code == -signal.SIGKILL
    assert "asked" in shown


def test_a_reader_that_goes_away_does_not_end_the_work(tmp_path: Path) -> None:
    def show(_line: str) -> None:
        raise BrokenPipeError

    done = tmp_path / "done"
    ended, _ = _run(f"print(1); print(2); open({str(done)!r}, 'w').close()", tmp_path, show=show)
    assert ended.code == 0
    assert done.exists()


def test_a_program_is_not_left_running_when_its_watcher_fails(tmp_path: Path) -> None:
    def show(_line: str) -> None:
        raise RuntimeError("a fault in the watcher")

    gone = tmp_path / "gone"
    script = (
        "import signal, sys\n"
        f"def stop(*_):\n    open({str(gone)!r}, 'w').close(); sys.exit(0)\n"
        "signal.signal(signal.SIGINT, stop)\nprint('ready')\nsignal.pause()"
    )
    with pytest.raises(RuntimeError):
        _run(script, tmp_path, show=show)
    assert gone.exists()


def test_the_event_log_says_what_is_in_progress_and_for_how_long(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events")
    assert log.in_progress() == ()
    log.path.write_text(_event("resourcePreEvent"))
    assert describe(log.in_progress(), now=112) == "creating Container server (12 s)"
    with log.path.open("a") as file:
        file.write(_event("resOutputsEvent"))
    assert log.in_progress() == ()


def test_components_and_unchanged_resources_are_not_in_progress(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events")
    log.path.write_text(_event("resourcePreEvent", custom=False) + _event("resourcePreEvent", "same"))
    assert log.in_progress() == ()


def test_half_a_line_waits_for_its_end_and_nonsense_is_passed_over(tmp_path: Path) -> None:
    log, line = EventLog(tmp_path / "events"), _event("resourcePreEvent")
    log.path.write_text("nonsense\n" + line[:20])
    assert log.in_progress() == ()
    with log.path.open("a") as file:
        file.write(line[20:])
    assert len(log.in_progress()) == 1


def test_failed_steps_are_named_and_many_in_progress_are_counted(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events")
    many = "".join(_event("resourcePreEvent", urn=f"{URN}{number}") for number in range(6))
    log.path.write_text(many + _event("resOpFailedEvent", urn=f"{URN}0"))
    assert "and 1 more" in describe(log.in_progress(), now=100)
    assert log.failed == ["server0"]


def _cli(tmp_path: Path, script: str) -> PulumiCli:
    """Give a CLI whose `pulumi` is a script that notes its arguments."""
    binary = tmp_path / "bin" / "pulumi"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n{script}\n')
    binary.chmod(0o755)
    environment = {"PATH": f"{binary.parent}:{os.environ['PATH']}"}
    return PulumiCli(environment=environment, directory=tmp_path, stack="dev", clean=Redactor(["hunter22"]))


def test_the_answer_of_pulumi_is_its_standard_output_for_this_stack(tmp_path: Path) -> None:
    assert _cli(tmp_path, "echo answer").answer("stack", "ls") == "answer\n"
    assert (tmp_path / "arguments").read_text() == "stack ls --stack dev --non-interactive\n"


def test_a_failed_question_shows_the_error_without_secrets_and_what_to_do(tmp_path: Path) -> None:
    cli = _cli(tmp_path, "echo 'error: incorrect passphrase hunter22' >&2; exit 255")
    with pytest.raises(OperationError) as raised:
        cli.answer("stack", "init")
    words = str(raised.value)
    assert "incorrect passphrase [secret]" in words
    assert "remove the line `encryptionsalt:` from Pulumi.dev.yaml" in words


def test_a_failed_update_names_the_resources_that_failed(tmp_path: Path) -> None:
    script = f"""
while [ "$1" != --event-log ]; do shift; done
printf '%s' '{_event("resOpFailedEvent").strip()}' > "$2"; echo >> "$2"
[ "$PULUMI_DEBUG_COMMANDS" = true ] && exit 1"""
    with pytest.raises(OperationError, match="failed: server"):
        _cli(tmp_path, script).stream("up", "--yes", show=lambda _line: None)


def test_a_missing_pulumi_says_how_to_get_it(tmp_path: Path) -> None:
    cli = PulumiCli(environment={"PATH": str(tmp_path)}, directory=tmp_path, stack="dev")
    with pytest.raises(OperationError, match="make toolchain"):
        cli.answer("version")


@pytest.mark.parametrize(
    ("output", "fix"),
    [
        ("error: the stack is currently locked by 1 lock(s)", "pulumi cancel --stack dev"),
        ("Bind for 127.0.0.1:8283 failed: port is already allocated", "make doctor"),
        ("write /var/lib/docker: no space left on device", "make clean"),
        ("could not find an available, non-overlapping IPv4 address pool", "networkSubnet"),
        ("x509: certificate signed by unknown authority", "caBundle"),
    ],
)
def test_known_errors_come_with_what_to_do(output: str, fix: str) -> None:
    assert fix in " ".join(hints(output, "dev"))


def test_an_unknown_error_comes_without_a_guess() -> None:
    assert hints("something else", "dev") == ()


def test_a_secret_is_taken_out_in_its_usual_encodings() -> None:
    clean = Redactor(["p@ss/word", "p@ss/word-longer"])
    assert clean("p@ss/word-longer p%40ss%2Fword cEBzcy93b3Jk x") == "[secret] [secret] [secret] x"


def test_lines_of_a_secret_of_many_lines_are_taken_out_each() -> None:
    assert Redactor(["first-line\nsecond-line"])("got second-line") == "got [secret]"


def test_very_short_values_and_no_values_change_nothing() -> None:
    assert Redactor(["a", ""])("a banana") == "a banana"
    assert Redactor()("text") == "text"


@pytest.mark.parametrize(
    ("package", "verbs"),
    [
        ("operations", "up down status doctor traces collector env toolchain clean"),
        ("development", "docs lock refresh-packages"),
    ],
)
def test_every_verb_has_help_and_an_unknown_one_fails(package: str, verbs: str) -> None:
    root = ROOT
    command = [sys.executable, "-m", package]
    helped = subprocess.run([*command, "--help"], cwd=root, capture_output=True, text=True, check=True)
    assert all(f"  {verb} " in helped.stdout for verb in verbs.split())
    assert subprocess.run([*command, "nonsense"], cwd=root, capture_output=True, check=False).returncode == 2
