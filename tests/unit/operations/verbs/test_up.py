"""Updating a stack: which questions are asked, and which tools it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.console import terminal
from operations.console.errors import OperationError
from operations.verbs.up import deploy, needless_parts
from settings import load
from testbed.fake_target import FakeTarget
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


def test_a_base_image_is_not_installed_for_a_stack_that_does_not_use_it() -> None:
    digest = "@sha256:" + "0" * 64
    pinned = {name: f"registry.example/{name}{digest}" for name in ("base", "postgres", "redis")}
    assert needless_parts(load({}, (), stack="dev")) == ()
    assert needless_parts(load({"baseImage": "debian:trixie"}, (), stack="dev")) == (Part.BASE_IMAGE,)
    data = load({"services": "data", "pinnedImages": pinned}, (), stack="dev")
    assert needless_parts(data) == (Part.BASE_IMAGE,)
