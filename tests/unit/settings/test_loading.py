"""How raw configuration becomes settings: what is refused, and what remains of what is partly invalid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from catalogue import Composition
from settings import SECRET_KEYS, UNREADABLE, Settings, SettingsError, check, load

pytestmark = pytest.mark.unit

DIGEST = "sha256:" + "0" * 64
PASSWORD = "correct-horse-battery"


def refusal(
    raw: Mapping[str, Any], *, encrypted: tuple[str, ...] | None = None, stack: str = "dev"
) -> SettingsError:
    """Return the error for a configuration; all secrets count as encrypted unless said."""
    secret_keys = (
        [key for key in raw if key.removeprefix("letta:") in SECRET_KEYS] if encrypted is None else encrypted
    )
    with pytest.raises(SettingsError) as caught:
        load(raw, secret_keys, stack=stack)
    return caught.value


def accepted(raw: Mapping[str, Any]) -> Settings:
    return load(raw, [key for key in raw if key in SECRET_KEYS], stack="dev")


def test_valid_settings_come_without_problems() -> None:
    loaded = check({"apiPort": "18283"}, (), stack="dev")
    assert loaded.problems == ()
    assert loaded.settings.api_port == 18283
    assert loaded.require() is loaded.settings


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
        # The key already has its default, so the settings that it conflicts with are reset.
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
    assert problem.rule == "is stored encrypted, but is not a secret: its value will be readable"


@pytest.mark.parametrize("key", sorted(SECRET_KEYS))
def test_a_secret_in_plain_text_is_refused_without_repeating_it(key: str) -> None:
    value = '{"TAVILY_API_KEY": "canary-canary-canary-canary-canary"}'
    raw = {key: value if key == "serverSecrets" else "canary-canary-canary-canary-canary"}
    raw |= {"clickhouseEndpoint": "https://clickhouse.example"} if key == "clickhousePassword" else {}
    error = refusal(raw, encrypted=())
    problem = next(problem for problem in error.problems if problem.key == f"letta:{key}")
    assert problem.rule.startswith("is a secret but stored as plain text: store it encrypted")
    assert problem.fix.startswith("pulumi config set --secret ")
    assert "canary" not in str(error)


def test_an_encrypted_value_is_refused_where_it_would_become_readable() -> None:
    error = refusal(
        {"letta:serverEnvironment": '{"MY_FLAG": "canary"}', "letta:grafanaUrl": "https://canary.example"},
        encrypted=("letta:serverEnvironment", "letta:grafanaUrl"),
    )
    url, environment = error.problems
    assert url.rule == "is stored encrypted, but is not a secret: its value will be readable"
    assert url.fix == "pulumi config set letta:grafanaUrl https://grafana.example --stack dev"
    assert environment.rule.endswith("use letta:serverSecrets for them")
    assert environment.fix == "pulumi config rm letta:serverEnvironment --stack dev"
    assert "canary" not in str(error)


def test_a_plain_part_of_an_object_that_is_otherwise_encrypted_is_refused() -> None:
    with pytest.raises(SettingsError) as caught:
        load(
            {"letta:serverSecrets": '{"MY_KEY": "canary", "OTHER": "x"}'},
            ["letta:serverSecrets"],
            stack="dev",
            plain_parts=["letta:serverSecrets.MY_KEY"],
        )
    (problem,) = caught.value.problems
    assert problem.key == "letta:serverSecrets.MY_KEY"
    assert problem.fix.startswith("pulumi config set --secret --path letta:serverSecrets.MY_KEY --stack dev")


def test_all_problems_are_reported_at_once_and_with_the_stack() -> None:
    error = refusal(
        {
            "letta:apiPort": "0",
            "letta:apiPorrt": "8283",
            "leta:apiPort": "8283",
            "letta:openaiApiKey": "plain",
            "letta:otlpHttpPort": "4317",
            "letta:clickhouseEndpoint": "https://clickhouse.example",
            "letta:serverEnvironment": {"LETTA_PG_URI": "x", "MY_TOKEN": "y"},
        },
        encrypted=(),
        stack="staging",
    )
    assert {problem.key for problem in error.problems} == {
        "letta:apiPort",
        "letta:apiPorrt",
        "leta:apiPort",
        "letta:openaiApiKey",
        "letta:otlpHttpPort",
        "letta:clickhousePassword",
        "letta:serverEnvironment.LETTA_PG_URI",
        "letta:serverEnvironment.MY_TOKEN",
    }
    assert str(error).startswith("8 settings of stack staging are invalid (nothing was created or changed):")
    assert str(error).count("--stack staging") == 8


def test_a_rule_between_keys_is_not_reported_while_one_of_them_is_wrong_by_itself() -> None:
    (problem,) = refusal({"clickhouseEndpoint": "nonsense"}).problems
    assert problem.key == "letta:clickhouseEndpoint"


def test_following_every_command_for_ports_ends_with_good_settings() -> None:
    raw = dict.fromkeys(
        ("apiPort", "otlpGrpcPort", "otlpHttpPort", "collectorHealthPort", "collectorMetricsPort"), "4317"
    )
    for _ in range(6):
        try:
            accepted(raw)
            break
        except SettingsError as error:
            problem = error.problems[0]
            *_, key, value, _, _ = problem.fix.split()
            raw[key.removeprefix("letta:")] = value
    else:
        pytest.fail("the commands do not lead to distinct ports")


def test_nothing_set_gives_the_defaults() -> None:
    settings = load({}, (), stack="dev")
    assert settings.api_port == 8283
    assert settings.services is Composition.ALL
    assert settings.openai_api_key is None
    assert settings.pinned_images == {}
    assert settings == Settings()


def test_values_arrive_as_the_texts_that_pulumi_makes_of_them() -> None:
    settings = accepted(
        {
            "apiPort": "18283",
            "protectData": "true",
            "postgresCpus": "1.5",
            "redisCpus": "2",
            "networkSubnet": "10.87.0.0/22",
            "serverEnvironment": '{"LETTA_LLM_REQUEST_TIMEOUT_SECONDS": 90, "MCP_DISABLE_STDIO": true}',
            "serverSecrets": '{"TAVILY_API_KEY": "tvly"}',
            "openaiApiKey": "sk-1",
        }
    )
    assert settings.api_port == 18283
    assert settings.protect_data is True
    assert settings.postgres_cpus == 1.5
    assert settings.redis_cpus == 2.0
    assert settings.network_subnet is not None
    assert settings.network_subnet.num_addresses == 1024
    assert settings.server_environment == {
        "LETTA_LLM_REQUEST_TIMEOUT_SECONDS": "90",
        "MCP_DISABLE_STDIO": "true",
    }
    assert settings.server_secrets["TAVILY_API_KEY"].get_secret_value() == "tvly"
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-1"


def test_none_means_not_set() -> None:
    raw = dict.fromkeys(("openaiBaseUrl", "postgresCpus", "caBundle", "networkSubnet", *SECRET_KEYS), "none")
    assert load(raw, (), stack="dev") == Settings()


def test_none_is_no_value_for_a_setting_that_has_a_default() -> None:
    (problem,) = refusal({"bindAddress": "none"}).problems
    assert problem.key == "letta:bindAddress"


def test_keys_that_pulumi_reads_are_left_alone() -> None:
    raw = {"pulumi:disable-default-providers": '["*"]', "pulumi:tags": {"team": "a"}, "pulumi:autonaming": {}}
    assert load(raw, (), stack="dev") == Settings()


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("docker:host", "DOCKER_HOST"),
        ("docker:registryAuth", "docker pull"),
        ("docker:context", "DOCKER_HOST"),
        ("random:seed", "nothing to configure"),
        ("pulumi:parallel", "disable-default-providers"),
    ],
)
def test_a_key_of_another_namespace_that_nothing_reads_is_refused_with_what_to_do(key: str, advice: str) -> None:
    (problem,) = refusal({key: "x"}, encrypted=(key,)).problems
    assert problem.key == key
    assert problem.rule.startswith("is read by nothing: ")
    assert advice in problem.rule
    assert problem.fix == f"pulumi config rm {key} --stack dev"


def test_a_stack_of_data_services_needs_nothing_of_what_it_does_not_run() -> None:
    settings = accepted(
        {
            "services": "data",
            "otlpHttpPort": "4317",
            "lettaReplicas": "16",
            "pinnedImages": {name: f"registry.example/{name}@{DIGEST}" for name in ("base", "postgres", "redis")},
        }
    )
    assert settings.services is Composition.DATA


def test_a_date_that_pulumi_took_for_a_point_in_time_is_still_a_version() -> None:
    raw = {
        "azureApiVersion": "2024-10-21 00:00:00 +0000 UTC",
        "azureApiKey": PASSWORD,
        "azureBaseUrl": "https://name.openai.azure.com",
    }
    assert accepted(raw).azure_api_version == "2024-10-21"
