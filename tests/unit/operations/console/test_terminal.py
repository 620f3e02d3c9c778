"""The one exit: what is printed is redacted, and nothing in operations prints past it."""

from __future__ import annotations

import ast
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from operations.console import terminal
from operations.console.errors import OperationError
from operations.console.redaction import hide
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "write",
    [
        lambda: terminal.say("it is hunter22"),
        lambda: terminal.say_error("it is hunter22"),
        lambda: terminal.say_styled([("it is hunter22", "bold")]),
        lambda: terminal.say_json({"checks": [{"fix": ("it is hunter22",)}]}),
        lambda: terminal.table("of hunter22", ("what",), [("it is hunter22",)]),
    ],
    ids=["say", "say_error", "say_styled", "say_json", "table"],
)
def test_everything_that_is_written_is_redacted(
    write: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    hide(["hunter22"])
    write()
    shown = "".join(capsys.readouterr())
    assert "it is [secret]" in shown
    assert "hunter22" not in shown


def test_json_stays_json_when_a_number_looks_like_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    hide(["12345"])
    terminal.say_json({"memory": 12345})
    assert json.loads(capsys.readouterr().out) == {"memory": 12345}


@pytest.mark.parametrize(
    "write", [lambda: terminal.say("unseen"), lambda: terminal.table("unseen", ("what",), [])]
)
def test_a_reader_that_goes_away_does_not_end_the_work(
    write: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.StringIO):
        def __init__(self, descriptor: int) -> None:
            super().__init__()
            self.descriptor = descriptor

        def flush(self) -> None:
            raise BrokenPipeError

        def fileno(self) -> int:
            return self.descriptor

    with (tmp_path / "output").open("wb") as file:
        monkeypatch.setattr(sys, "stdout", Gone(file.fileno()))
        write()
        assert os.fstat(file.fileno()).st_rdev == Path(os.devnull).stat().st_rdev


def test_a_character_that_the_terminal_cannot_show_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    terminal.replace_unencodable()
    terminal.say("fix → 127.0.0.1")
    terminal.table("stack", ("what",), [("8283 → 8080",)])
    shown = written.getvalue().decode("ascii")
    assert "fix ? 127.0.0.1" in shown
    assert "8283 ? 8080" in shown


def test_questions_are_answered_by_yes_or_by_the_user(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.confirm("Sure?", yes=True)
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)
    monkeypatch.setattr("sys.stdin.readline", lambda: "y\n", raising=False)
    hide(["hunter22"])
    terminal.confirm("Remove hunter22?", yes=False)
    assert "Remove [secret]? [y/N]" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin.readline", lambda: "\n", raising=False)
    with pytest.raises(OperationError, match="cancelled"):
        terminal.confirm("Sure?", yes=False)


def _printing(tree: ast.AST) -> Iterator[str]:
    """Yield what writes past the console, or carries a function that does so through signatures."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"{node.lineno}: print()"
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {
            *("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"),
            *("os.write", "typer.echo", "typer.secho", "traceback.print_exc"),
        }:
            yield f"{node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            if (module or "").partition(".")[0] in {"rich", "logging", "warnings"}:
                yield f"{node.lineno}: {module}"
            if module == "sys" and isinstance(node, ast.ImportFrom):
                yield f"{node.lineno}: from sys"
        if isinstance(node, ast.arg) and node.arg in {"show", "clean", "say", "redact"}:
            yield f"{node.lineno}: parameter {node.arg}"


def test_nothing_but_the_console_prints() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{fault}"
        for path in sorted((ROOT / "operations").rglob("*.py"))
        if "console" not in path.relative_to(ROOT).parts
        for fault in _printing(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []
