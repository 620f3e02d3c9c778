"""The doctor checks what it can, whatever else is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.checks import network
from operations.checks.result import CheckState
from operations.engine import docker_engine
from operations.engine.protocol import EngineUnreachableError
from operations.stack.checkout import Checkout
from operations.stack.target import Target
from operations.verbs.doctor import diagnose

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("own_folders")]


def test_without_an_engine_and_a_readable_stack_file_all_else_is_still_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    found = diagnose(Target(stack="dev", environment=environment, checkout=Checkout(tmp_path)))
    states = {check.name: check.state for check in found}
    assert states["engine"] is CheckState.BROKEN
    assert states["settings"] is CheckState.BROKEN
    assert {"port 8283", "TLS", "state", "services"} <= set(states)
    assert "canary" not in str(found)
