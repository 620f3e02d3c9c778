"""Which variables of the server's environment belong to a setting, and what counts as a model provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings import SECRET_KEYS, Settings, has_provider, load
from settings.schema import fields, metadata
from settings.server_environment import name_rule, provider_values
from settings.values import ProviderVariable, Variable
from testbed.certificates import Authority
from tests.unit.conftest import Program

pytestmark = pytest.mark.unit

VARIABLES = {
    key: entry for key, field in fields().items() for entry in metadata(field) if isinstance(entry, Variable)
}
AZURE = {"azureApiKey": "sk-1", "azureBaseUrl": "https://name.openai.azure.com"}


def settings(**values: object) -> Settings:
    return load(values, [key for key in values if key in SECRET_KEYS], stack="dev")


def test_every_setting_of_a_provider_says_which_variable_the_server_reads() -> None:
    of_providers = ("openai", "anthropic", "ollama", "vllm", "azure", "gemini", "groq")
    expected = {key for key in fields() if key.startswith(of_providers)}
    assert {key for key, entry in VARIABLES.items() if isinstance(entry, ProviderVariable)} == expected


def test_no_two_settings_decide_the_same_variable() -> None:
    names = [name for entry in VARIABLES.values() for name in (entry.name, *entry.synonyms)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("key", sorted(VARIABLES))
def test_a_variable_that_a_setting_decides_cannot_be_set_by_hand(key: str) -> None:
    for name in (VARIABLES[key].name, *VARIABLES[key].synonyms, VARIABLES[key].name.lower()):
        assert name_rule(name) == f"has a setting of its own: use letta:{key}"


def test_no_variable_that_the_platform_sets_can_be_set_by_hand(platform: Program, tmp_path: Path) -> None:
    (tmp_path / "letta").mkdir()
    (tmp_path / "letta" / "__init__.py").touch()
    every_feature = {
        "letta:requireTls": True,
        "letta:telemetryCaBundle": str(Authority(tmp_path).certificate),
        "letta:sourceDirectory": str(tmp_path),
        "letta:logLevel": "debug",
        "letta:clickhouseEndpoint": "https://clickhouse.example",
        "letta:clickhousePassword": "secret",
    }
    registered = platform("dev", ("letta:clickhousePassword",), **every_feature)
    (server,) = [one for one in registered if one.name == "letta-dev-server" and one.typ.endswith(":Container")]
    variables = {variable.partition("=")[0] for variable in server.value("envs")}
    assert {"LETTA_SOURCE", "LETTA_DEBUG", "FORWARDED_ALLOW_IPS"} <= variables
    assert {name for name in variables if name_rule(name) is None} == set()


def test_the_server_gets_what_is_set_and_nothing_else() -> None:
    assert list(provider_values(settings())) == []
    given = dict(provider_values(settings(**AZURE)))
    assert given.keys() == {"AZURE_API_KEY", "AZURE_BASE_URL"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, False),
        ({"openaiApiKey": "sk-1"}, True),
        ({"ollamaBaseUrl": "http://ollama.example:11434"}, True),
        (AZURE, True),
        # A base URL alone changes where a provider is asked, and makes none available.
        ({"openaiBaseUrl": "https://api.example/v1"}, False),
        ({"geminiBaseUrl": "https://generativelanguage.googleapis.com/"}, False),
    ],
)
def test_a_stack_has_a_provider_when_a_setting_suffices_for_one(values: dict[str, object], expected: bool) -> None:
    assert has_provider(settings(**values)) is expected
