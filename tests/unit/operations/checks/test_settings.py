"""Settings that are invalid, or that were encrypted with another passphrase."""

from __future__ import annotations

from pathlib import Path

import pytest

import settings
from operations.checks.result import CheckState
from operations.checks.settings import require_valid, settings_check
from operations.console.errors import OperationError
from operations.stack import decryption
from operations.stack.checkout import Checkout
from operations.stack.target import Target
from testbed.stack_secrets import salted, seal

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use few key derivation rounds: a million slow down attackers, and would slow down the tests."""
    monkeypatch.setattr(decryption, "ROUNDS", 1000)


def _target(folder: Path, stack_file: str, **environment: str) -> Target:
    (folder / "Pulumi.yaml").write_text("name: letta\n")
    (folder / "Pulumi.dev.yaml").write_text(stack_file)
    return Target(stack="dev", environment=environment, checkout=Checkout(folder))


def test_invalid_settings_are_refused_with_all_problems(tmp_path: Path) -> None:
    target = _target(tmp_path, "config:\n  letta:apiPort: 99999\n  letta:nonsense: 1\n")
    with pytest.raises(settings.SettingsError) as raised:
        require_valid(target)
    assert {problem.key for problem in raised.value.problems} == {"letta:apiPort", "letta:nonsense"}


def test_the_values_of_secrets_that_cannot_be_decrypted_are_left_to_the_program(tmp_path: Path) -> None:
    text = (
        "config:\n  letta:clickhouseEndpoint: https://clickhouse.example\n"
        "  letta:clickhousePassword: {secure: v1:x:y}\n"
    )
    require_valid(_target(tmp_path, text))
    with pytest.raises(settings.SettingsError, match="letta:apiPort"):
        require_valid(_target(tmp_path, text + "  letta:apiPort: 0\n"))


def test_secrets_of_another_passphrase_are_named(tmp_path: Path) -> None:
    text = (
        f"encryptionsalt: {salted('right')}\nconfig:\n"
        f"  letta:openaiApiKey: {{secure: '{seal('right', 'sk-1')}'}}\n"
        f"  letta:groqApiKey: {{secure: '{seal('another', 'sk-2')}'}}\n"
    )
    with pytest.raises(OperationError, match="encrypted with another passphrase than the file's salt") as raised:
        require_valid(_target(tmp_path, text, PULUMI_CONFIG_PASSPHRASE="right"))
    assert raised.value.fix == ("set it again: `pulumi config set --secret letta:groqApiKey --stack dev`",)


def test_the_doctor_reports_invalid_settings_with_the_commands_that_fix_them(tmp_path: Path) -> None:
    check = settings_check(_target(tmp_path, "config:\n  letta:apiPort: 99999\n"))
    assert check.state is CheckState.BROKEN
    assert "letta:apiPort" in check.detail
    assert "pulumi config set" in check.fix[0]


def test_the_doctor_reports_a_file_of_another_passphrase_as_broken(tmp_path: Path) -> None:
    target = _target(tmp_path, f"encryptionsalt: {salted('another')}\n", PULUMI_CONFIG_PASSPHRASE="mine")
    assert settings_check(target).state is CheckState.BROKEN


def test_a_stack_without_a_file_is_noted(tmp_path: Path) -> None:
    target = _target(tmp_path, "")
    (tmp_path / "Pulumi.dev.yaml").unlink()
    assert settings_check(target).state is CheckState.NOTE
