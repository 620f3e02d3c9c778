"""Steps are shown, silent programs get a heartbeat, and failures show their last lines."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from toolchain.errors import StepFailedError
from toolchain.locations import ROOT
from toolchain.progress import Progress

pytestmark = pytest.mark.unit


def shell(script: str) -> list[str | Path]:
    return ["sh", "-c", script]


def test_a_step_shows_its_name_and_how_long_it_took(tmp_path: Path) -> None:
    lines: list[str] = []
    progress = Progress(lines.append, logs=tmp_path)
    with progress.step("outer"):
        progress.say("a word")
        with progress.step("inner"):
            pass
    assert lines[0] == "==> outer"
    assert lines[1] == "    a word"
    assert lines[2] == "    inner …"
    assert lines[3].startswith("    inner: done in ")
    assert lines[4].startswith("    done in ")


def test_a_heartbeat_shows_the_log_and_last_line_of_a_silent_program(tmp_path: Path) -> None:
    lines: list[str] = []
    release = tmp_path / "release"

    def show(line: str) -> None:
        lines.append(line)
        if "compiling" in line:
            release.touch()

    progress = Progress(show, logs=tmp_path, heartbeat=0.05)
    with progress.step("building"):
        progress.run(shell(f"echo compiling; until [ -e {release} ]; do sleep 0.02; done"), log="build")
    beats = [line for line in lines if "… building" in line]
    assert beats
    assert str(tmp_path / "build.log") in beats[-1]
    assert "last: compiling" in beats[-1]


def test_a_failure_shows_the_last_lines_the_log_and_the_fix(tmp_path: Path) -> None:
    progress = Progress(lambda _: None, logs=tmp_path)
    with pytest.raises(StepFailedError) as caught:
        progress.run(shell("seq 1 100; echo broken >&2; exit 3"), log="it", fix=["fix it"])
    text = str(caught.value)
    assert "exit code 3" in text
    assert "| broken" in text
    assert "| 1\n" not in text
    assert str(tmp_path / "it.log") in text
    assert "do:    fix it" in text


def test_a_missing_program_is_a_failed_step(tmp_path: Path) -> None:
    with pytest.raises(StepFailedError, match="cannot be run"):
        Progress(lambda _: None, logs=tmp_path).run(["no-such-program-here"], log="it")


def test_output_that_is_a_result_goes_to_a_file_of_its_own(tmp_path: Path) -> None:
    target = tmp_path / "result"
    log = Progress(lambda _: None, logs=tmp_path).run(
        shell("echo result; echo words >&2"), log="it", output=target
    )
    assert target.read_text() == "result\n"
    assert "words" in log.read_text()
    assert "result\n" not in log.read_text().partition("\n")[2]


def test_an_interruption_also_ends_what_the_program_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = (
        "import os, pathlib, signal, sys, threading, time\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from toolchain.progress import Progress\n"
        "pids = pathlib.Path(sys.argv[1])\n"
        "def when_started():\n"
        "    while not pids.exists() or len(pids.read_text().split()) < 2: time.sleep(0.01)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "threading.Thread(target=when_started, daemon=True).start()\n"
        "sh = f'sleep 600 & echo $! >>{pids}; echo $$ >>{pids}; wait'\n"
        "Progress(print, logs=pids.parent).run(['sh', '-c', sh], log='it')\n"
    )
    code = subprocess.call([sys.executable, "-c", script, str(pids), str(ROOT)])
    assert code == 128 + 15
    for pid in pids.read_text().split():
        deadline = time.monotonic() + 10
        while (running := is_running(int(pid))) and time.monotonic() < deadline:
            time.sleep(0.05)  # it was killed, and a busy machine takes a moment to end it
        assert not running


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
