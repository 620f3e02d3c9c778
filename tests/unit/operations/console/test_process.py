"""Running programs: output, silence, signals."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from operations.console import process, terminal
from operations.console.redaction import hide

pytestmark = pytest.mark.unit


class Screen:
    """What a run shows, line by line; reacts to a line the moment it is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.on: dict[str, Callable[[], object]] = {}

    def say(self, line: str) -> None:
        self.lines.append(line)
        self.on.get(line, lambda: None)()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    found = Screen()
    monkeypatch.setattr(terminal, "say", found.say)
    return found


def _run(script: str, tmp_path: Path, **more: object) -> process.Ended:
    arguments: dict[str, object] = {
        "directory": tmp_path,
        "environment": dict(os.environ),
        "when_silent": lambda _seconds: "still there",
    }
    return process.run([sys.executable, "-uc", script], **{**arguments, **more})  # type: ignore[arg-type]


def _interrupt(number: signal.Signals) -> Callable[[], object]:
    return lambda: threading.Thread(target=os.kill, args=(os.getpid(), number)).start()


def test_output_is_shown_line_by_line_and_the_exit_code_is_returned(tmp_path: Path, screen: Screen) -> None:
    ended = _run("import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)", tmp_path)
    assert (ended.code, screen.lines, ended.tail) == (3, ["one", "two"], "one\ntwo")


def test_silence_is_broken_until_the_program_ends(
    tmp_path: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SILENCE_SECONDS", 0.01)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    spoken: list[float] = []

    def when_silent(seconds: float) -> str:
        spoken.append(seconds)
        if len(spoken) == 2:
            gate.open("w").close()
        return "still there"

    ended = _run(f"open({str(gate)!r}).read(); print('done')", tmp_path, when_silent=when_silent)
    assert ended.code == 0
    assert screen.lines[:2] == ["still there", "still there"]
    assert "done" in screen.lines


def test_secrets_are_taken_out_of_what_is_shown_logged_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hide(["hunter22"])
    log = tmp_path / "log"
    with log.open("w") as file:
        ended = _run("print('key is hunter22')", tmp_path, log=file)
    assert (capsys.readouterr().out, log.read_text(), ended.tail) == (
        "key is [secret]\n",
        "key is [secret]\n",
        "key is [secret]",
    )


def test_omitted_lines_are_logged_and_not_shown(tmp_path: Path, screen: Screen) -> None:
    with (tmp_path / "log").open("w") as file:
        _run("print('advice: x'); print('done')", tmp_path, omit=("advice",), log=file)
    assert screen.lines == ["done"]
    assert (tmp_path / "log").read_text() == "advice: x\ndone\n"


def test_an_interrupt_is_passed_on_once_and_the_program_ends_in_its_own_way(
    tmp_path: Path, screen: Screen
) -> None:
    script = (
        "import signal, sys\n"
        "def stop(*_):\n    print('asked'); sys.exit(5)\n"
        "signal.signal(signal.SIGINT, stop)\nprint('ready')\nsignal.pause()"
    )
    screen.on["ready"] = _interrupt(signal.SIGINT)
    assert _run(script, tmp_path).code == 5
    assert screen.lines.count("asked") == 1


def test_a_program_that_does_not_end_is_ended_at_once_when_that_is_asked_again(
    tmp_path: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "ONE_REQUEST_SECONDS", 0.0)
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, lambda *_: print('asked', flush=True))\n"
        "print('ready')\nwhile True: signal.pause()"
    )
    screen.on = {"ready": _interrupt(signal.SIGTERM), "asked": _interrupt(signal.SIGTERM)}
    ended = _run(script, tmp_path, when_silent=None, insist=signal.SIGKILL)
    assert ended.code == -signal.SIGKILL
    assert "asked" in screen.lines


def test_a_program_is_not_left_running_when_showing_its_output_fails(tmp_path: Path, screen: Screen) -> None:
    def fail() -> None:
        raise RuntimeError

    gone = tmp_path / "gone"
    script = (
        "import signal, sys\n"
        f"def stop(*_):\n    open({str(gone)!r}, 'w').close(); sys.exit(0)\n"
        "signal.signal(signal.SIGINT, stop)\nprint('ready')\nsignal.pause()"
    )
    screen.on["ready"] = fail
    with pytest.raises(RuntimeError):
        _run(script, tmp_path)
    assert gone.exists()
