"""The command line: its verbs, and how errors are reported."""

from __future__ import annotations

import subprocess
import sys

import docker.errors
import pytest
import requests

from operations.cli import main
from operations.console.errors import OperationError
from operations.console.redaction import hide
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("package", "verbs"),
    [
        ("operations", "up down status doctor traces collector env toolchain clean"),
        ("development", "docs lock refresh-packages"),
    ],
)
def test_every_verb_has_help_and_an_unknown_one_fails(package: str, verbs: str) -> None:
    command = [sys.executable, "-m", package]
    helped = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"  {verb} " in helped.stdout for verb in verbs.split())
    assert subprocess.run([*command, "nonsense"], cwd=ROOT, capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("Connection aborted."),
        requests.ReadTimeout("Read timed out."),
        docker.errors.APIError("500 Server Error: no space left on device"),
        docker.errors.NotFound("404: no such container"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_engine_that_fails_or_ends_meanwhile_is_reported_without_a_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit, match="1"):
        main.main()
    shown = capsys.readouterr().err
    assert f"the Docker engine failed, or no longer answers: {error}" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("error", [OperationError("it said hunter22"), RuntimeError("hunter22")])
def test_errors_of_all_kinds_are_reported_without_secrets(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    hide(["hunter22"])
    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit, match="1"):
        main.main()
    shown = capsys.readouterr().err
    assert "[secret]" in shown
    assert "hunter22" not in shown
