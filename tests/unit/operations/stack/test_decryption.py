"""Secrets are decrypted without Pulumi, and another passphrase is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.console.errors import OperationError
from operations.stack import decryption
from operations.stack.decryption import Decrypter, WrongPassphraseError
from settings import StackFile, read_stack_file
from testbed.stack_secrets import salted, seal

pytestmark = pytest.mark.unit


def _file(folder: Path, text: str) -> StackFile:
    path = folder / "Pulumi.dev.yaml"
    path.write_text(text)
    return read_stack_file(path)


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use few key derivation rounds: a million slow down attackers, and would slow down the tests."""
    monkeypatch.setattr(decryption, "ROUNDS", 1000)


def test_the_right_passphrase_decrypts_values_that_pulumi_encrypted() -> None:
    assert Decrypter("right", salted("right")).decrypt(seal("right", "sk-1")) == "sk-1"


def test_a_salt_that_pulumi_itself_wrote_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written by `pulumi stack init` 3.259.0 with the passphrase `opstrial`."""
    monkeypatch.undo()
    salt = "v1:KgFVTCT5DiA=:v1:zD4qoE8daPxQdru2:N/EmbpwTNjsC4wwagodn2GHcNUnkSg=="
    assert Decrypter("opstrial", salt)


def test_a_wrong_passphrase_is_noticed_at_once() -> None:
    with pytest.raises(WrongPassphraseError):
        Decrypter("wrong", salted("right"))


def test_the_error_of_a_foreign_salt_names_file_passphrase_and_what_to_do(tmp_path: Path) -> None:
    file = _file(tmp_path, f"config: {{}}\nencryptionsalt: {salted('another')}\n")
    mine = tmp_path / "passphrase"
    mine.write_text("mine\n")
    with pytest.raises(OperationError) as raised:
        decryption.decrypter(file, {"PULUMI_CONFIG_PASSPHRASE_FILE": str(mine)})
    words = str(raised.value)
    assert "Pulumi.dev.yaml was salted with another passphrase" in words
    assert str(mine) in words
    assert "remove the line `encryptionsalt:`" in words
    assert "PULUMI_CONFIG_PASSPHRASE_FILE=" in words
    assert "mine\n" not in words


def test_a_foreign_salt_over_secrets_says_that_they_are_lost(tmp_path: Path) -> None:
    text = f"config:\n  letta:openaiApiKey: {{secure: v1:x:y}}\nencryptionsalt: {salted('other')}\n"
    with pytest.raises(OperationError, match="set its secrets again"):
        decryption.decrypter(_file(tmp_path, text), {"PULUMI_CONFIG_PASSPHRASE": "mine"})


def test_the_passphrase_variable_goes_before_the_file_as_with_pulumi(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from the file\n")
    environment = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}
    assert decryption.configured(environment) == "from the file"
    assert decryption.configured({**environment, "PULUMI_CONFIG_PASSPHRASE": ""}) == ""
    assert decryption.configured({}) is None


def test_a_passphrase_file_that_is_gone_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="cannot be read"):
        decryption.configured({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "gone")})


def test_another_secrets_provider_is_left_to_pulumi(tmp_path: Path) -> None:
    file = StackFile(
        path=tmp_path / "Pulumi.dev.yaml", encryption_salt="v1:x:y", secrets_provider="awskms://alias/x"
    )
    assert decryption.decrypter(file, {"PULUMI_CONFIG_PASSPHRASE": "x"}) is None
