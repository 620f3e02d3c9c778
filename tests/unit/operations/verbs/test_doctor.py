"""The doctor checks what it can, whatever else is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from operations.checks import network
from operations.engine import docker_engine
from operations.engine.protocol import EngineUnreachableError
from operations.stack.checkout import Checkout
from operations.stack.target import Target
from operations.verbs import doctor

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("own_folders")]


def test_without_an_engine_and_a_readable_stack_file_all_else_is_still_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_environment: object) -> None:
        raise EngineUnreachableError("nothing listens")

    monkeypatch.setattr(docker_engine, "connect", refuse)
    monkeypatch.setattr(network, "registries", lambda *_: ())
    (tmp_path / "Pulumi.yaml").write_text("name: letta\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {canary")
    (tmp_path / "toolchain").mkdir()
    (tmp_path / "toolchain" / "versions.toml").write_text("plugin = []\n")
    environment = {"PULUMI_BACKEND_URL": f"file://{tmp_path}/backend", "PULUMI_CONFIG_PASSPHRASE": "x"}
    target = Target(stack="dev", environment=environment, checkout=Checkout(tmp_path))
    monkeypatch.setattr(doctor, "target", lambda _stack: target)
    assert not doctor.doctor("dev", as_json=True)
    shown = capsys.readouterr().out
    states = {check["name"]: check["state"] for check in json.loads(shown)["checks"]}
    assert states["engine"] == states["settings"] == "broken"
    assert {"port 8283", "TLS", "state", "services"} <= set(states)
    assert "canary" not in shown
