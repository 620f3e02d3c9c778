"""What remains of settings that are partly invalid, and of secrets that cannot be decrypted."""

from __future__ import annotations

import pytest

from settings import SECRET_KEYS, UNREADABLE, Settings, SettingsError, check, load

pytestmark = pytest.mark.unit


def test_valid_settings_come_without_problems() -> None:
    loaded = check({"apiPort": "18283"}, (), stack="dev")
    assert loaded.problems == ()
    assert loaded.settings.api_port == 18283
    assert loaded.require() is loaded.settings


def test_a_path_below_the_home_of_an_unknown_user_is_one_that_does_not_exist() -> None:
    (problem,) = check({"sourceDirectory": "~nobody-of-this-name/letta"}, (), stack="dev").problems
    assert problem.rule == "must be the path of a directory that exists"


def test_an_invalid_key_has_its_default_and_the_others_their_values() -> None:
    loaded = check({"apiPort": "many", "lettaReplicas": "2", "apiPorrt": "1"}, (), stack="dev")
    assert loaded.settings == load({"lettaReplicas": "2"}, (), stack="dev")
    assert {problem.key for problem in loaded.problems} == {"letta:apiPort", "letta:apiPorrt"}
    with pytest.raises(SettingsError) as caught:
        loaded.require()
    assert caught.value.problems == loaded.problems


def test_a_key_is_invalid_by_itself_or_by_a_part_of_it() -> None:
    loaded = check({"protectData": "yes", "serverEnvironment": {"PATH": "/bin"}}, (), stack="dev")
    assert not loaded.is_valid("protectData")
    assert not loaded.is_valid("serverEnvironment")
    assert loaded.is_valid("apiPort")


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        # The key at fault alone.
        ({"services": "data", "bindAddress": "0.0.0.0", "redisPort": "16379"},  # noqa: S104
         {"services": "data", "redisPort": "16379"}),
        ({"telemetryProfile": "clickhouse-prod", "apiPort": "18283"}, {"apiPort": "18283"}),
        # It is at its default already, so what it does not fit to.
        ({"apiPort": "4317", "otlpHttpPort": "14318"}, {"otlpHttpPort": "14318"}),
        ({"clickhouseEndpoint": "https://clickhouse.example"}, {}),
        ({"lettaReplicas": "16", "lettaMemoryMb": "1000"}, {"lettaMemoryMb": "1000"}),
    ],
)  # fmt: skip
def test_keys_that_break_a_rule_between_keys_have_their_defaults(
    raw: dict[str, str], kept: dict[str, str]
) -> None:
    loaded = check(raw, (), stack="dev")
    assert len(loaded.problems) == 1
    assert loaded.settings == load(kept, (), stack="dev")


@pytest.mark.parametrize("key", sorted(SECRET_KEYS))
def test_a_secret_that_cannot_be_decrypted_counts_as_set_and_valid(key: str) -> None:
    value = {"TAVILY_API_KEY": UNREADABLE} if key == "serverSecrets" else UNREADABLE
    partners = {
        "clickhousePassword": {"clickhouseEndpoint": "https://clickhouse.example"},
        "datadogApiKey": {"datadogSite": "datadoghq.com"},
        "signozIngestionKey": {"signozEndpoint": "https://signoz.example"},
        "azureApiKey": {"azureBaseUrl": "https://name.openai.azure.com"},
    }
    loaded = check({key: value, **partners.get(key, {})}, [key], stack="dev")
    assert loaded.problems == ()
    assert loaded.settings != Settings()


def test_an_object_that_is_encrypted_as_one_is_left_out_when_it_cannot_be_decrypted() -> None:
    assert check({"serverSecrets": UNREADABLE}, ["serverSecrets"], stack="dev").problems == ()


def test_an_encrypted_value_that_is_no_secret_is_one_problem_and_not_two() -> None:
    (problem,) = check({"apiPort": UNREADABLE}, ["apiPort"], stack="dev").problems
    assert problem.rule == "is stored encrypted, but it is no secret and will be readable"
