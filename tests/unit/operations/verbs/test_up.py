"""Updating a stack: which questions are asked, and which tools it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker.errors
import pytest
import requests

from operations.console import terminal
from operations.console.errors import OperationError
from operations.deploy import preflight, readiness, telemetry_probe
from operations.engine.protocol import Container
from operations.stack.state import STACK, StackState
from operations.verbs import up as verb
from operations.verbs.up import deploy, needless_parts, verify
from settings import load
from testbed.fake_engine import FakeEngine, container
from testbed.fake_target import FakePulumi, FakeTarget, resource, service_resource, state_of
from toolchain.install import Part

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("own_folders")]


def test_a_stack_of_a_developer_is_updated_without_a_question(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path)
    deploy(target, yes=False)
    (asked,) = target.cli.asked
    assert asked[0] == "up"
    assert {"--yes", "--skip-preview"} <= set(asked)


def test_a_protected_stack_is_not_updated_without_confirmation(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path, stack_file="config:\n  letta:protectData: true\n")
    with pytest.raises(OperationError, match="need interactive confirmation"):
        deploy(target, yes=False)
    assert target.cli.asked == []


def test_a_protected_stack_with_yes_is_previewed_first(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path, stack_file="config:\n  letta:protectData: true\n")
    deploy(target, yes=True)
    assert "--skip-preview" not in target.cli.asked[0]


def test_a_user_at_a_terminal_confirms_the_change_of_a_protected_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)
    target = FakeTarget(tmp_path, stack_file="config:\n  letta:protectData: true\n")
    deploy(target, yes=False)
    assert target.cli.asked[0][:2] == ("interactive", "up")


def test_what_cannot_be_started_is_replaced_by_the_update(tmp_path: Path) -> None:
    target = FakeTarget(tmp_path)
    deploy(target, yes=False, replace=["urn:a", "urn:b"])
    (asked,) = target.cli.asked
    words = " ".join(asked)
    assert "--replace urn:a --replace urn:b" in words
    assert "--target" not in words, "all else is updated too"


REDIS = container("redis", service="redis")
# What the engine has; what the API says; what `make up` says instead of "is up".
VERIFIED: dict[str, tuple[Container | None, str | None, str | None]] = {
    "all well": (REDIS, None, None),
    "docker stop": (replace(REDIS, state="exited", status="Exited (0)"), None, "redis: stopped"),
    "docker rm -f": (None, None, "redis: missing"),
    "docker pause": (replace(REDIS, state="paused"), None, "redis: paused"),
    "unhealthy": (replace(REDIS, health="unhealthy"), None, "redis: unhealthy"),
    "the database does not answer": (REDIS, "status 500", "does not answer after 1 s: status 500"),
    "another password": (REDIS, "status 401", "refuses the password"),
    "nothing listens": (REDIS, "Connection refused", "Connection refused"),
}


@pytest.mark.parametrize("case", VERIFIED)
def test_up_is_said_only_when_all_services_are_healthy_and_the_api_reads_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    there, answered, problem = VERIFIED[case]
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}
    outputs = {"apiUrl": "http://api.example:8283", "serverPassword": secret}
    state = state_of(service_resource("redis"), resource(STACK, "stack", outputs=outputs))
    target = FakeTarget(tmp_path, state=state, engine=FakeEngine(all_containers=[there] if there else []))
    target.settings.__dict__["start_timeout_seconds"] = 1
    monkeypatch.setattr(FakePulumi, "answer", lambda _self, *_: "hunter22\n")
    asked: list[tuple[str, str | None]] = []

    def answer(url: str, password: str | None = None) -> str | None:
        asked.append((url, password))
        return answered

    probed: list[object] = []
    monkeypatch.setattr(readiness, "answer", answer)
    monkeypatch.setattr(telemetry_probe, "probe", lambda *arguments: probed.append(arguments))
    if problem is None:
        verify(target, target.fake_engine)
        assert asked == [("http://api.example:8283/v1/agents/?limit=1", "hunter22")]
        assert probed
        return
    with pytest.raises(OperationError, match=problem):
        verify(target, target.fake_engine)
    assert not probed


def test_data_services_alone_have_no_api_to_ask(tmp_path: Path) -> None:
    state = state_of(service_resource("redis"), resource(STACK, "stack", outputs={"redisUrl": "redis://x"}))
    verify(FakeTarget(tmp_path, state=state), FakeEngine(all_containers=[REDIS]))


def _raise(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


# Which part of the explanation fails as well, and with what.
EXPLANATIONS: dict[str, tuple[Callable[..., object] | None, Callable[..., object] | None, str]] = {
    "nothing": (None, None, "all containers of the stack are healthy"),
    "the engine died": (None, _raise(requests.ConnectionError("gone")), "no longer answers"),
    "the engine refuses": (None, _raise(docker.errors.APIError("500")), "no longer answers"),
    "the state cannot be read": (_raise(OperationError("damaged")), None, "the state cannot be read"),
    "the state is no JSON": (_raise(ValueError("no JSON")), None, "the state cannot be read"),
    "Pulumi is gone": (_raise(FileNotFoundError("pulumi")), None, "the state cannot be read"),
}


@pytest.mark.parametrize("case", EXPLANATIONS)
@pytest.mark.parametrize("error", [OperationError("the real one"), requests.ConnectionError("the real one")])
def test_the_updates_own_error_is_the_one_that_is_reported(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    case: str,
    error: Exception,
) -> None:
    of_state, of_engine, words = EXPLANATIONS[case]
    target = FakeTarget(tmp_path, state=state_of())
    monkeypatch.setattr(FakePulumi, "state", of_state or (lambda *_, **__: StackState({})), raising=False)
    monkeypatch.setattr(readiness, "report_trouble", of_engine or (lambda *_: 0))
    for name in ("require_valid", "ensure_tools"):
        monkeypatch.setattr(verb, name, lambda *_: None)
    monkeypatch.setattr(verb, "make_target", lambda _stack: target)
    monkeypatch.setattr(verb, "tool_environment", lambda _stack: target.environment)
    monkeypatch.setattr(preflight, "check_machine", lambda *_: None)
    target.cli.on["up"] = _raise(error)
    with pytest.raises(type(error), match="the real one"):
        verb.up("dev", yes=True)
    assert words in capsys.readouterr().out


def test_a_base_image_is_not_installed_for_a_stack_that_does_not_use_it() -> None:
    digest = "@sha256:" + "0" * 64
    pinned = {name: f"registry.example/{name}{digest}" for name in ("base", "postgres", "redis")}
    assert needless_parts(load({}, (), stack="dev")) == ()
    assert needless_parts(load({"baseImage": "debian:trixie"}, (), stack="dev")) == (Part.BASE_IMAGE,)
    data = load({"services": "data", "pinnedImages": pinned}, (), stack="dev")
    assert needless_parts(data) == (Part.BASE_IMAGE,)
