"""What the verbs are given: names of stacks that can be one, and no value that a shell runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from operations.cli.options import Stack
from operations.console.errors import OperationError
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
FOR_THE_SHELL = {"PYTEST_ARGS"}
"""Several arguments, on purpose."""

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def show(stack: Stack = "dev") -> None:
    typer.echo(f"stack is {stack}")


REFUSED = {
    "empty": "",
    "parent folder": "../x",
    "other folder": "/etc/x",
    "folder": "team/dev",
    "this folder": ".",
    "dots": "..",
    "a dot": "a.b",
    "space": "a b",
    "space at the end": "dev ",
    "new line": "a\nb",
    "new line at the end": "dev\n",
    "upper case": "Dev",
    "other letters": "dév",
    "other digits": "dev\u0663",
    "an option": "-x",
    "underscore first": "_x",
    "too long": "a" * 40,
    "100 characters": "a" * 100,
    "command": "$(id)",
    "quote": "a'b",
}


@pytest.mark.parametrize("name", REFUSED.values(), ids=list(REFUSED))
@pytest.mark.parametrize("way", ["variable", "option"])
def test_a_name_that_no_stack_can_have_is_refused_with_the_rule(name: str, way: str) -> None:
    arguments = [f"--stack={name}"] if way == "option" else []
    done = CliRunner().invoke(app, arguments, env={"STACK": name if way == "variable" else "dev"})
    assert isinstance(done.exception, OperationError)
    assert done.exception.problem == f"{name!r} cannot be the name of a stack"
    assert "lower-case letters, digits" in done.exception.fix[0]


@pytest.mark.parametrize("name", ["dev", "a", "7", "test-1a2b", "my_stack", "a" * 39])
def test_a_name_that_a_stack_can_have_is_taken(name: str) -> None:
    done = CliRunner().invoke(app, [], env={"STACK": name})
    assert (done.exit_code, done.output) == (0, f"stack is {name}\n")


def test_without_a_name_it_is_dev_and_an_option_counts_more_than_an_empty_variable() -> None:
    assert CliRunner().invoke(app, [], env={"STACK": None}).output == "stack is dev\n"
    assert CliRunner().invoke(app, ["-s", "prod"], env={"STACK": ""}).output == "stack is prod\n"


def test_the_longest_name_leaves_room_for_the_longest_name_in_dns() -> None:
    assert len(f"letta-{'a' * 39}-server-10-1a2b3c4") == 63


@pytest.mark.parametrize("verb", ["up", "down", "status", "doctor", "traces", "env"])
def test_every_verb_of_a_stack_checks_its_name_first(verb: str) -> None:
    environment = {**os.environ, "STACK": "../x"}
    done = subprocess.run(
        [sys.executable, "-m", "operations", verb],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: '../x' cannot be the name of a stack")
    assert done.stdout == ""


# -- the Makefile ---------------------------------------------------------------------------------------

SETTABLE = sorted(set(re.findall(r"^(?:override )?([A-Z_]+) [?:]?=", MAKEFILE, re.MULTILINE)) - {"MAKEFLAGS"})
VERBS = sorted(set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile, with programs that do nothing but show that they were run, and with which values."""
    (tmp_path / "Makefile").write_text(MAKEFILE)
    for name in (".venv/bin/python", "toolchain/bootstrap.sh"):
        program = tmp_path / name
        program.parent.mkdir(parents=True)
        program.write_text('#!/bin/sh\necho "run: $0 $*; STACK=$STACK; YES=$YES; LEFTOVERS=$LEFTOVERS"\n')
        program.chmod(0o755)
    return tmp_path


def _make(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {
        key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKEOVERRIDES", *SETTABLE}
    }
    return subprocess.run(
        ["make", *arguments],
        cwd=checkout,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_makefile_has_variables_and_verbs() -> None:
    assert {"STACK", "YES", "LEFTOVERS", "PYTEST_ARGS", "PYTHON"} <= set(SETTABLE)
    assert {"up", "down", "status", "clean", "help", "test-unit"} <= set(VERBS)


COMMANDS = {
    "backquotes": "`touch ran`",
    "substitution": "$(touch ran)",
    "quoted": '"; touch ran; "',
    "single quoted": "'; touch ran; '",
    "separated": "; touch ran",
    "function of Make": "$(shell touch ran)",
    "doubled for Make": "$$(touch ran)",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
@pytest.mark.parametrize("way", ["argument", "environment"])
@pytest.mark.parametrize("variable", [one for one in SETTABLE if one not in FOR_THE_SHELL])
def test_no_value_of_a_variable_is_run(checkout: Path, variable: str, way: str, command: str) -> None:
    # For real: what `make -n` shows has not been through a shell. All verbs at once.
    if way == "argument":
        _make(checkout, "-k", *VERBS, f"{variable}={command}")
    else:
        _make(checkout, "-k", *VERBS, **{variable: command})
    assert not (checkout / "ran").exists()


def test_values_arrive_as_they_were_given(checkout: Path) -> None:
    shown = _make(checkout, "down", "STACK=a`b` $$c", "YES=1", "LEFTOVERS=1").stdout
    assert "run: .venv/bin/python -m operations down; STACK=a`b` $$c; YES=1; LEFTOVERS=1" in shown
    assert "STACK=dev; YES=; LEFTOVERS=" in _make(checkout, "status").stdout
    assert "STACK=other; YES=; LEFTOVERS=" in _make(checkout, "status", STACK="other").stdout


def test_nothing_but_arguments_for_pytest_is_put_into_a_recipe() -> None:
    recipes = "\n".join(re.findall(r"^\t(?:.*\\\n)*.*$", MAKEFILE, re.MULTILINE))
    used = set(re.findall(r"\$\((\w+)", recipes))
    fixed = set(re.findall(r"^override ([A-Z_]+) := (?!\$\(value)", MAKEFILE, re.MULTILINE))
    assert used - fixed == FOR_THE_SHELL
