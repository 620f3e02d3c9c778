"""What `make up` shows at the end: where everything is, and a first request that can be pasted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from operations.deploy import summary

pytestmark = pytest.mark.unit

OUTPUTS = {
    "apiUrl": "http://127.0.0.1:8283",
    "healthUrl": "http://127.0.0.1:8283/v1/health/",
    "tracesVolume": "letta-dev-traces",
    "tracesFile": "traces.json",
    "serverPassword": None,
}


def test_the_table_tells_where_everything_is_and_never_the_password() -> None:
    rows = dict(summary.rows(OUTPUTS, "dev"))
    assert rows["API"] == "http://127.0.0.1:8283"
    assert rows["password"] == "`pulumi stack output serverPassword --show-secrets --stack dev`"
    assert "make traces" in rows["traces"]


def test_the_snippets_are_shell_that_a_shell_accepts() -> None:
    text = summary.snippets(OUTPUTS, root=Path("/somewhere with space"), stack="dev")
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
        input=summary.snippets(OUTPUTS, root=tmp_path, stack="dev") + "\n",
        env={"PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "curl -sS -w \\n -H Authorization: Bearer hunter22 http://127.0.0.1:8283/v1/models/" in done.stdout
    assert done.stdout.strip().endswith("hunter22")


def test_without_a_model_provider_the_first_next_step_is_to_give_one() -> None:
    assert "openaiApiKey" in summary.next_steps(OUTPUTS, "dev", has_provider=False)[0]
    assert not any("openaiApiKey" in step for step in summary.next_steps(OUTPUTS, "dev", has_provider=True))


def test_data_services_alone_come_with_what_a_server_from_source_needs(tmp_path: Path) -> None:
    outputs = {"postgresUrl": None, "redisUrl": "redis://localhost:6379"}
    text = summary.snippets(outputs, root=tmp_path, stack="dev")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    assert "LETTA_REDIS_HOST=localhost LETTA_REDIS_PORT=6379" in text
    steps = " ".join(summary.next_steps(outputs, "dev", has_provider=False))
    assert "openaiApiKey" not in steps
    assert "traces" not in steps


def test_commands_name_the_stack_only_when_it_is_not_the_usual_one() -> None:
    assert summary.make("up", "dev") == "make up"
    assert summary.make("up", "prod") == "make up STACK=prod"
