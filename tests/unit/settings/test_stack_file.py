"""A stack file says what Pulumi would read from it, and which parts are encrypted."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings import StackFileError, read_stack_file

pytestmark = pytest.mark.unit

FILE = """\
config:
  letta:apiPort: 8283
  letta:openaiApiKey:
    secure: v1:one:sealed
  letta:serverSecrets:
    TAVILY_API_KEY:
      secure: v1:two:sealed
    EXA_API_KEY: plain
encryptionsalt: v1:salt
secretsprovider: awskms://key
"""


def test_a_stack_file_is_read_as_pulumi_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(
        "config:\n"
        "  letta:apiPort: 8283\n"
        "  letta:protectData: true\n"
        "  letta:azureApiVersion: 2024-10-21\n"
        "  letta:serverEnvironment:\n"
        "    A: 1\n"
        "  letta:openaiApiKey:\n"
        "    secure: v1:abc:def\n"
        "  letta:grafanaUrl:\n"
    )
    stored = read_stack_file(path)
    assert stored.config == {
        "letta:apiPort": "8283",
        "letta:protectData": "true",
        "letta:azureApiVersion": "2024-10-21",
        "letta:serverEnvironment": {"A": "1"},
        "letta:openaiApiKey": {"secure": "v1:abc:def"},
        "letta:grafanaUrl": None,
    }
    assert stored.secret_keys == {"letta:openaiApiKey"}
    assert stored.plain_parts == ()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("True", "true"),
        ("FALSE", "false"),
        ("yes", "yes"),
        ("on", "on"),
        ('"True"', "True"),
        ("0x10", "16"),
        ("0o17", "15"),
        ("017", "15"),
        ("089", "89"),
        ("-0", "0"),
        ("+5", "5"),
        ("18_283", "18283"),
        ("12:30", "12:30"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1.50", "1.5"),
        ("1e3", "1000"),
        ("0.00001", "0.00001"),
        ("1000000.0", "1000000"),
        ("1_000.5", "1000.5"),
        ("0.16.8", "0.16.8"),
    ],
)
def test_scalars_are_the_text_that_pulumi_makes_of_them(written: str, read: str, tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(f"config:\n  letta:lettaCpus: {written}\n  letta:serverEnvironment: {{A: {written}}}\n")
    assert read_stack_file(path).config == {"letta:lettaCpus": read, "letta:serverEnvironment": {"A": read}}


@pytest.mark.parametrize("content", ["", "config:\n", "encryptionsalt: v1:abc\n"])
def test_a_stack_file_without_settings_holds_none(content: str, tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(content)
    assert read_stack_file(path).config == {}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "Pulumi.staging.yaml"
    path.write_text(FILE)
    return path


def test_everything_of_a_stack_file_is_read_at_once(path: Path) -> None:
    stored = read_stack_file(path)
    assert stored.exists
    assert stored.stack == "staging"
    assert stored.config["letta:apiPort"] == "8283"
    assert stored.secret_keys == {"letta:openaiApiKey", "letta:serverSecrets"}
    assert stored.plain_parts == ("letta:serverSecrets.EXA_API_KEY",)
    assert sorted(stored.ciphertexts()) == ["v1:one:sealed", "v1:two:sealed"]
    assert list(stored.ciphertexts("letta:serverSecrets")) == ["v1:two:sealed"]
    assert list(stored.ciphertexts("letta:groqApiKey")) == []
    assert stored.encryption_salt == "v1:salt"
    assert stored.secrets_provider == "awskms://key"


def test_secrets_are_decrypted_wherever_they_are(path: Path) -> None:
    assert read_stack_file(path).decrypted(lambda text: text.split(":")[1]) == {
        "letta:apiPort": "8283",
        "letta:openaiApiKey": "one",
        "letta:serverSecrets": {"TAVILY_API_KEY": "two", "EXA_API_KEY": "plain"},
    }


def test_a_stack_without_a_file_has_an_empty_one(tmp_path: Path) -> None:
    stored = read_stack_file(tmp_path / "Pulumi.dev.yaml")
    assert not stored.exists
    assert stored.stack == "dev"
    assert stored.config == {}
    assert stored.encryption_salt is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("config: {canary", r"not valid YAML \(line \d+\)"),
        ("- canary\n", "not a mapping"),
        ("canary\n", "not a mapping"),
        ("config: canary\n", "below `config:`"),
        ("config:\n  null: canary\n", "below `config:`"),
        ("config:\n  letta:apiPort: 0x_\n", "not valid YAML"),
        ("encryptionsalt: [canary]\n", "`encryptionsalt:` must be text"),
        ("config:\n  letta:apiPort: canary\udcff\n", "not valid UTF-8"),
    ],
)
def test_a_file_of_another_form_is_refused_without_quoting_it(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(StackFileError, match=reason) as caught:
        read_stack_file(path)
    assert "canary" not in str(caught.value)
