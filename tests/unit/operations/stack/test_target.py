"""What a target knows: its settings as far as they can be read, and its secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.console.redaction import redacted
from operations.stack import decryption
from operations.stack.checkout import Checkout
from operations.stack.pulumi_cli import PulumiCli
from operations.stack.target import Target
from testbed.stack_secrets import salted, seal

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use few key derivation rounds: a million slow down attackers, and would slow down the tests."""
    monkeypatch.setattr(decryption, "ROUNDS", 1000)


def _target(folder: Path, stack_file: str, *, phrase: str = "right", salt: str = "right") -> Target:
    (folder / "Pulumi.yaml").write_text("name: letta\n")
    (folder / "Pulumi.dev.yaml").write_text(f"encryptionsalt: {salted(salt)}\n{stack_file}")
    environment = {"PULUMI_CONFIG_PASSPHRASE": phrase}
    return Target(stack="dev", environment=environment, checkout=Checkout(folder))


def _clickhouse(password: str) -> str:
    return f"""\
config:
  letta:clickhouseEndpoint: https://clickhouse.example
  letta:clickhousePassword:
    secure: {password}
  letta:lettaReplicas: 2
"""


def test_settings_are_read_with_their_secrets(tmp_path: Path) -> None:
    target = _target(tmp_path, _clickhouse(seal("right", "sk-12345")))
    assert target.loaded.problems == ()
    assert target.settings.letta_replicas == 2
    assert target.settings.clickhouse_password
    assert target.settings.clickhouse_password.get_secret_value() == "sk-12345"
    assert redacted("the key is sk-12345") == "the key is [secret]"


@pytest.mark.parametrize(
    ("phrase", "salt", "sealed"),
    [("right", "right", "another"), ("right", "another", "another"), ("wrong", "right", "right")],
    ids=["one secret of another passphrase", "file of another passphrase", "wrong passphrase"],
)
def test_secrets_that_cannot_be_decrypted_count_as_set(
    tmp_path: Path, phrase: str, salt: str, sealed: str
) -> None:
    target = _target(tmp_path, _clickhouse(seal(sealed, "sk-12345")), phrase=phrase, salt=salt)
    assert target.loaded.problems == ()
    assert target.settings.letta_replicas == 2
    assert target.settings.clickhouse_endpoint


def test_without_a_passphrase_the_settings_are_read_too(tmp_path: Path) -> None:
    target = _target(tmp_path, _clickhouse(seal("right", "sk-12345")))
    object.__setattr__(target, "environment", {})
    assert target.loaded.problems == ()


def test_a_partly_invalid_file_gives_what_is_valid(tmp_path: Path) -> None:
    target = _target(tmp_path, "config:\n  letta:apiPort: many\n  letta:lettaReplicas: 2\n")
    assert [problem.key for problem in target.loaded.problems] == ["letta:apiPort"]
    assert target.settings.letta_replicas == 2


@pytest.mark.parametrize(
    ("value", "protected"), [("true", True), ("false", False), ('"true"', True), ("yes", True), ("", True)]
)
def test_a_stack_is_protected_unless_its_settings_clearly_say_that_it_is_not(
    tmp_path: Path, value: str, protected: bool
) -> None:
    assert _target(tmp_path, f"config:\n  letta:protectData: {value}\n").is_protected is protected


def test_a_secret_is_decrypted_here_and_hidden_from_output(tmp_path: Path) -> None:
    target = _target(tmp_path, _clickhouse(seal("right", "sk-12345")))
    assert target.secret("clickhousePassword") == "sk-12345"
    assert redacted("the key is sk-12345") == "the key is [secret]"


def test_a_secret_of_another_provider_is_asked_of_pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(_cli: PulumiCli, *arguments: str) -> str:
        asked.append(arguments)
        return "sk-12345\n"

    monkeypatch.setattr(PulumiCli, "answer", answer)
    target = _target(tmp_path, _clickhouse("v1:sealed:elsewhere") + "secretsprovider: awskms://alias/x\n")
    assert target.secret("clickhousePassword") == "sk-12345"
    assert asked == [("config", "get", "letta:clickhousePassword")]
    assert redacted("the key is sk-12345") == "the key is [secret]"


def test_the_secrets_of_a_stack_file_are_hidden_from_output(tmp_path: Path) -> None:
    _target(tmp_path, _clickhouse(seal("right", "sk-12345"))).hide_secrets()
    assert redacted("the key is sk-12345") == "the key is [secret]"
