"""Running the Pulumi CLI: its event log, its answers, and what is reported when it fails."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from operations.console.errors import OperationError
from operations.console.redaction import hide, redacted
from operations.stack.event_log import EventLog, describe
from operations.stack.known_errors import fixes
from operations.stack.pulumi_cli import PulumiCli

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
    """Return a CLI whose `pulumi` is a script that notes its arguments."""
    binary = tmp_path / "bin" / "pulumi"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n{script}\n')
    binary.chmod(0o755)
    environment = {"PATH": f"{binary.parent}:{os.environ['PATH']}"}
    return PulumiCli(environment=environment, directory=tmp_path, stack="dev")


def test_the_answer_of_pulumi_is_its_standard_output_for_this_stack(tmp_path: Path) -> None:
    assert _cli(tmp_path, "echo answer").answer("stack", "ls") == "answer\n"
    assert (tmp_path / "arguments").read_text() == "stack ls --stack dev --non-interactive\n"


def test_a_failed_question_shows_the_error_without_secrets_and_what_to_do(tmp_path: Path) -> None:
    hide(["hunter22"])
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
        _cli(tmp_path, script).stream("up", "--yes")


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
        (
            'the queue of "otlp/signoz-traces" for traces is not used, and nothing of it is lost: a later version '
            "has left 20 requests in it, which this version cannot read",
            "pulumi config rm collectorVersion --stack dev",
        ),
    ],
)
def test_known_errors_come_with_what_to_do(output: str, fix: str) -> None:
    assert fix in " ".join(fixes(output, "dev"))


def test_an_unknown_error_comes_without_a_guess() -> None:
    assert fixes("something else", "dev") == ()


def test_the_secrets_of_an_exported_state_are_hidden(tmp_path: Path) -> None:
    mark = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"hunter22"'}
    exported = {"deployment": {"resources": [{"type": "x", "inputs": {"password": mark}}]}}
    (tmp_path / "state").write_text(json.dumps(exported))
    _cli(tmp_path, f"cat {tmp_path}/state").state(show_secrets=True)
    assert redacted("it is hunter22") == "it is [secret]"
