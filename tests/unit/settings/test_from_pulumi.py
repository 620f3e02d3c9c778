"""How the configuration of a running Pulumi program becomes settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pulumi
import pytest
from pulumi.runtime.config import set_all_config

from settings import SettingsError, from_pulumi, loading

pytestmark = pytest.mark.unit

Configure = Callable[[dict[str, str], list[str]], None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty project folder, a stack named dev, and no configuration left behind."""
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    monkeypatch.setattr(loading, "PROJECT_ROOT", tmp_path)
    for name in ("PULUMI_CONFIG", "PULUMI_CONFIG_SECRET_KEYS"):
        monkeypatch.delenv(name, raising=False)
    set_all_config({}, [])
    yield tmp_path
    set_all_config({}, [])


@pytest.fixture(params=["environment", "process"])
def configure(request: pytest.FixtureRequest, project: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Both ways in which configuration reaches a program: from the language host, and set in the process."""
    del project

    def through_environment(values: dict[str, str], secret_keys: list[str]) -> None:
        monkeypatch.setenv("PULUMI_CONFIG", json.dumps(values))
        monkeypatch.setenv("PULUMI_CONFIG_SECRET_KEYS", json.dumps(secret_keys))

    return through_environment if request.param == "environment" else set_all_config


def test_values_and_secrets_reach_the_settings(configure: Configure) -> None:
    configure(
        {"letta:apiPort": "18283", "letta:openaiApiKey": "sk-1", "letta:groqApiKey": "none", "pulumi:tags": "{}"},
        ["letta:openaiApiKey"],
    )
    settings = from_pulumi()
    assert settings.api_port == 18283
    assert settings.openai_api_key is not None
    assert settings.groq_api_key is None


def test_a_secret_that_pulumi_holds_in_plain_text_is_refused(configure: Configure) -> None:
    configure({"letta:openaiApiKey": "canary"}, [])
    with pytest.raises(SettingsError, match="letta:openaiApiKey is a secret but stored as plain text") as caught:
        from_pulumi()
    assert "canary" not in str(caught.value)


def test_keys_of_every_namespace_are_seen(configure: Configure) -> None:
    configure({"letta:apiPort": "18283", "leta:apiPort": "1"}, [])
    with pytest.raises(SettingsError, match="leta:apiPort is in a namespace that nothing reads"):
        from_pulumi()


def test_the_error_names_the_stack(configure: Configure) -> None:
    configure({"letta:apiPort": "0"}, [])
    with pytest.raises(SettingsError, match="of stack dev is invalid") as caught:
        from_pulumi()
    assert isinstance(caught.value, pulumi.RunError), "Pulumi prints any other error with a traceback"


def test_no_configuration_at_all_gives_the_defaults(project: Path) -> None:
    del project
    assert from_pulumi().api_port == 8283


def test_a_plain_value_among_encrypted_ones_is_found_in_the_stack_file(project: Path) -> None:
    (project / "Pulumi.dev.yaml").write_text(
        "config:\n"
        "  letta:serverSecrets:\n"
        "    TAVILY_API_KEY:\n"
        "      secure: v1:abc:def\n"
        "    EXA_API_KEY: canary\n"
        "encryptionsalt: v1:xyz\n"
    )
    # Pulumi marks the entire object as secret as soon as one part of it is.
    set_all_config(
        {"letta:serverSecrets": '{"TAVILY_API_KEY": "x", "EXA_API_KEY": "canary"}'}, ["letta:serverSecrets"]
    )
    with pytest.raises(SettingsError) as caught:
        from_pulumi()
    (problem,) = caught.value.problems
    assert problem.key == "letta:serverSecrets.EXA_API_KEY"
    assert problem.fix.startswith("pulumi config set --secret --path letta:serverSecrets.EXA_API_KEY --stack dev")
    assert "canary" not in str(caught.value)
