"""What settings accept, everything after them can run with: a table of each kind of value that something refuses.

The program and the server's container get accepted settings in `components/test_accepted_settings.py` and
`test_server_container.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from catalogue import MACHINE
from settings import SECRET_KEYS, UNREADABLE, Problem, Settings, check
from settings.addresses import is_loopback
from settings.schema import fields, kinds
from settings.server_environment import name_rule, value_rule
from settings.server_variables import FORMS, REFUSED

pytestmark = pytest.mark.unit

PARTNERS: dict[str, dict[str, str]] = {
    "azureBaseUrl": {"azureApiKey": "sk-1"},
    "clickhouseEndpoint": {"clickhousePassword": "secret"},
    "signozEndpoint": {"signozIngestionKey": "secret"},
}
ADDRESSES = (
    "openaiBaseUrl", "ollamaBaseUrl", "vllmBaseUrl", "azureBaseUrl", "geminiBaseUrl", "clickhouseEndpoint",
    "signozEndpoint",
)  # fmt: skip
LOOPBACKS = (
    "localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "127.1", "0x7f000001", "2130706433", "0.0.0.0", "0",  # noqa: S104
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "ollama.localhost", "localhost.localdomain",
    "ip6-localhost",
)  # fmt: skip


def problems(**values: object) -> tuple[Problem, ...]:
    return check(values, [key for key in values if key in SECRET_KEYS], stack="dev").problems


def accepted(**values: object) -> Settings:
    assert problems(**values) == ()
    return check(values, [key for key in values if key in SECRET_KEYS], stack="dev").settings


# -- addresses ------------------------------------------------------------------------------------------


def test_every_setting_of_an_address_is_in_these_tables() -> None:
    named = {key for key in fields() if key.endswith(("Url", "Endpoint"))}
    # It is only linked to, by whoever opens the link.
    assert named - {"grafanaUrl"} == set(ADDRESSES)


@pytest.mark.parametrize("host", LOOPBACKS)
@pytest.mark.parametrize("key", ADDRESSES)
def test_a_loopback_address_is_refused_with_the_name_that_works(key: str, host: str) -> None:
    (problem,) = problems(**{key: f"http://{host}:11434", **PARTNERS.get(key, {})})
    assert f"use http://{MACHINE}:11434 for this machine" in problem.rule
    assert problem.fix == f"pulumi config set letta:{key} http://{MACHINE}:11434 --stack dev"


def test_the_advice_keeps_the_path_of_an_api_and_nothing_else_of_an_address() -> None:
    (with_path,) = problems(vllmBaseUrl="https://localhost/v1/")
    assert with_path.fix == f"pulumi config set letta:vllmBaseUrl https://{MACHINE}/v1 --stack dev"
    (with_secret,) = problems(vllmBaseUrl="https://localhost/canary")
    assert "canary" not in with_secret.rule + with_secret.fix


@pytest.mark.parametrize("key", sorted(set(ADDRESSES) - {"geminiBaseUrl"}))
@pytest.mark.parametrize("host", [MACHINE, "10.0.0.5", "models.example", "localhost-models.example", "128.0.0.1"])
def test_an_address_that_containers_may_reach_is_accepted(key: str, host: str) -> None:
    accepted(**{key: f"http://{host}:11434", **PARTNERS.get(key, {})})


@pytest.mark.parametrize("key", ADDRESSES)
def test_an_ipv6_address_is_refused_because_the_networks_have_none(key: str) -> None:
    (problem,) = problems(**{key: "http://[2001:db8::1]:8123", **PARTNERS.get(key, {})})
    assert "have no IPv6" in problem.rule


def test_a_link_may_lead_to_the_machine_itself() -> None:
    assert accepted(grafanaUrl="http://localhost:3000/").grafana_url == "http://localhost:3000/"


@pytest.mark.parametrize("host", ["", "example", "localhosts", "10.0.0.1", "fd00::1", "1.2.3.4.5"])
def test_other_hosts_are_no_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("key", "written", "used"),
    [
        # The server compares it with OpenAI's own to name models `openai/…`.
        ("openaiBaseUrl", "https://api.openai.com/v1/", "https://api.openai.com/v1"),
        ("openaiBaseUrl", "HTTPS://API.OpenAI.com/v1", "https://api.openai.com/v1"),
        ("openaiBaseUrl", "https://api.openai.com", "https://api.openai.com/v1"),
        ("openaiBaseUrl", "https://gateway.example/OpenAI//v1//", "https://gateway.example/OpenAI/v1"),
        # Embeddings are sent to the base URL as it is.
        ("ollamaBaseUrl", "http://ollama.example:11434", "http://ollama.example:11434/v1"),
        ("ollamaBaseUrl", "http://ollama.example:11434/", "http://ollama.example:11434/v1"),
        ("ollamaBaseUrl", "http://ollama.example:11434/v1/", "http://ollama.example:11434/v1"),
        ("ollamaBaseUrl", "http://ollama.example:11434/api/", "http://ollama.example:11434/v1"),
        # The server appends `/v1` unless the URL ends in it.
        ("vllmBaseUrl", "http://vllm.example:8000/v1/", "http://vllm.example:8000/v1"),
        ("vllmBaseUrl", "http://vllm.example:8000/", "http://vllm.example:8000"),
        # The server appends `/openai/…`.
        ("azureBaseUrl", "https://name.openai.azure.com/", "https://name.openai.azure.com"),
        ("azureBaseUrl", "https://name.openai.azure.com/openai/", "https://name.openai.azure.com"),
        ("azureBaseUrl", "https://name.openai.azure.com/openai/v1/", "https://name.openai.azure.com/openai/v1"),
        ("clickhouseEndpoint", "HTTPS://ClickHouse.example:8443/", "https://clickhouse.example:8443"),
        ("signozEndpoint", "https://signoz.example:443/", "https://signoz.example:443"),
    ],
)
def test_an_address_is_brought_into_the_form_that_its_user_needs(key: str, written: str, used: str) -> None:
    settings = accepted(**{key: written, **PARTNERS.get(key, {})})
    assert settings.value(key) == used
    # Written in that form it stays.
    assert accepted(**{key: used, **PARTNERS.get(key, {})}).value(key) == used


@pytest.mark.parametrize("url", ["http://a.example/v1?key=1", "http://a.example/v1#x", "http://a.example/?"])
def test_a_base_url_with_a_query_is_refused(url: str) -> None:
    (problem,) = problems(openaiBaseUrl=url)
    assert "without ? and #" in problem.rule


def test_an_address_that_the_server_does_not_read_is_refused() -> None:
    (problem,) = problems(geminiBaseUrl="https://gateway.example")
    assert problem.rule.startswith("has no effect: ")
    assert problem.fix == "pulumi config rm letta:geminiBaseUrl --stack dev"


# -- numbers, texts, paths --------------------------------------------------------------------------------

CPUS = sorted(key for key in fields() if key.endswith("Cpus"))


@pytest.mark.parametrize("key", CPUS)
@pytest.mark.parametrize("number", ["0.1", "0.25", "1", "1.05", "9.99", "10", "10.5", "100", "1024"])
def test_cpus_that_read_back_as_they_are_are_accepted(key: str, number: str) -> None:
    accepted(**{key: number})


@pytest.mark.parametrize("key", CPUS)
@pytest.mark.parametrize("number", ["0.05", "0.01", "0.125", "10.25", "20.05", "1024.1", "-1", "0", "nan", "1e1"])
def test_cpus_that_read_back_differently_are_refused(key: str, number: str) -> None:
    (problem,) = problems(**{key: number})
    assert problem.rule.startswith("must be a number of CPUs from 0.1 to 1024")


@pytest.mark.parametrize(
    "network", ["0.0.0.0/8", "240.0.0.0/8", "255.255.255.0/24", "127.0.0.0/8", "224.0.0.0/24"]
)
def test_networks_without_addresses_for_machines_are_refused(network: str) -> None:
    (problem,) = problems(networkSubnet=network)
    assert problem.rule.startswith("must be a private IPv4 network")


@pytest.mark.parametrize(
    "reference",
    [
        "registry.example/Letta",
        "a$b",
        "registry.example//letta",
        "registry.example/letta:a b",
        "0" * 64,
        "a/" * 150,
    ],
)
def test_what_the_engine_takes_for_no_image_is_refused_with_and_without_digest(reference: str) -> None:
    (problem,) = problems(baseImage=reference)
    assert problem.key == "letta:baseImage"
    digest = "sha256:" + "0" * 64
    names = ("base", "postgres", "redis", "letta", "nginx", "collector")
    pinned = {name: f"Registry.example:5000/{name}:1@{digest}" for name in names}
    accepted(pinnedImages=pinned)
    if not reference.isdigit():
        (problem,) = problems(pinnedImages={**pinned, "letta": f"{reference}@{digest}"})
        assert problem.key == "letta:pinnedImages.letta"


@pytest.mark.parametrize("key", ["openaiApiKey", "datadogApiKey", "signozIngestionKey", "otlpToken"])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    partner = {
        "datadogApiKey": {"datadogSite": "datadoghq.eu"},
        "signozIngestionKey": {"signozEndpoint": "https://a.b"},
    }
    (problem,) = problems(**{key: "schlüssel", **partner.get(key, {})})
    assert problem.key == f"letta:{key}"
    assert "ASCII" in problem.rule


@pytest.mark.parametrize("key", sorted(SECRET_KEYS - {"serverSecrets", "serverPassword", "encryptionKey"}))
def test_a_secret_that_no_process_can_be_started_with_is_refused(key: str) -> None:
    found = [problem for problem in problems(**{key: "x" * 70_000}) if problem.key == f"letta:{key}"]
    assert found[0].rule == "must not be longer than 65536 bytes"


@pytest.mark.parametrize("key", sorted(key for key in fields() if dict in kinds(fields()[key].annotation)))
@pytest.mark.parametrize(
    "value", [["a"], '["a"]', [["a"]], [{"A": "b"}], {"A": ["b"]}, {"A": {"b": "c"}}, 5, "text"]
)
def test_what_is_no_object_of_texts_is_refused(key: str, value: object) -> None:
    found = problems(**{key: value})
    assert found
    assert {problem.key for problem in found} <= {f"letta:{key}", f"letta:{key}.A"}


# -- variables of the server ------------------------------------------------------------------------------

PLAIN, SECRET = "serverEnvironment", "serverSecrets"


def variable(name: str, value: str, *, key: str = PLAIN) -> tuple[Problem, ...]:
    return problems(**{key: {name: value}})


@pytest.mark.parametrize("key", [PLAIN, SECRET])
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_variable_that_opens_breaks_or_redirects_the_server_is_refused_with_the_reason(
    name: str, key: str
) -> None:
    for spelling in (name, name.lower(), name.title()):
        (problem,) = variable(spelling, "anything", key=key)
        assert problem.key == f"letta:{key}.{spelling}"
        assert problem.rule == REFUSED[name]
        assert problem.fix.startswith(f"pulumi config rm --path letta:{key}.{spelling}")


def test_no_variable_is_both_refused_and_accepted() -> None:
    assert not REFUSED.keys() & FORMS.keys()
    assert {name for name in FORMS if name_rule(name) is not None or name != name.upper()} == set()


# Of letta-production.md, and what else keeps a server from starting: variable, value.
WRONG_VALUES = [
    ("ACCEPTABLE_ORIGINS", "https://a.example,*"),
    ("LETTA_CORS_ORIGINS", "https://a.example"),
    ("LETTA_CORS_ORIGINS", '["*"]'),
    ("LETTA_CORS_ORIGINS", '{"a": 1}'),
    ("LETTA_CORS_ORIGINS", "[1]"),
    ("LETTA_TRACK_AGENT_RUN", "false"),
    ("LETTA_NO_DEFAULT_ACTOR", "true"),
    ("LETTA_USE_GRANIAN", "1"),
    ("LETTA_USE_UVLOOP", "TRUE"),
    ("LETTA_USE_LETTUCE_FOR_FILE_UPLOADS", "on"),
    ("LETTA_ENABLE_PINECONE", "yes"),
    ("LETTA_USE_TPUF", "t"),
    ("LETTA_STORE_LLM_TRACES", "true"),
    ("LETTA_TELEMETRY_PROVIDER_TRACE_BACKEND", "socket"),
    ("LETTA_TELEMETRY_PROVIDER_TRACE_BACKEND", "postgres,clickhouse"),
    ("LOCAL_HTTPS", "true"),
    ("MCP_DISABLE_STDIO", "false"),
    ("MCP_READ_FROM_CONFIG", "true"),
    ("TOOL_EXEC_DIR", "~/tools"),
    ("TOOL_EXEC_DIR", "/opt/tools"),
    ("TOOL_EXEC_DIR", "/tmp/../opt"),
    ("TOOL_EXEC_DIR", "/tmp"),
    ("TOOL_SANDBOX_TIMEOUT", "soon"),
    ("TOOL_SANDBOX_TIMEOUT", "inf"),
    ("LETTA_LLM_REQUEST_TIMEOUT_SECONDS", "9.9"),
    ("LETTA_LLM_STREAM_TIMEOUT_SECONDS", "1801"),
    ("LETTA_READINESS_EVENT_LOOP_LAG_THRESHOLD_MS", "99"),
    ("LETTA_READINESS_FG_IN_FLIGHT_THRESHOLD", "0"),
    ("LETTA_TELEMETRY_DATADOG_AGENT_PORT", "65536"),
    ("LETTA_TELEMETRY_DATADOG_AGENT_PORT", "tcp://10.0.0.1:8126"),
    ("LETTA_TELEMETRY_DATADOG_AGENT_HOST", "localhost"),
    ("LETTA_SUMMARIZER_MODE", "none"),
    ("LETTA_ENABLE_KEEPALIVE", "maybe"),
    ("LETTA_MULTI_AGENT_CONCURRENT_SENDS", "1.5"),
    ("GLOBAL_MAX_CONTEXT_WINDOW_LIMIT", "128k"),
    ("SGLANG_API_BASE", "http://localhost:30000"),
    ("SGLANG_API_BASE", "http://sglang.example:30000/v1/"),
    ("LMSTUDIO_BASE_URL", "http://[::1]:1234/v1"),
    ("LMSTUDIO_BASE_URL", "http://studio.example:1231/v1"),
    ("LMSTUDIO_BASE_URL", "http://studio.example:1234/v1/"),
    ("ZAI_BASE_URL", "zai.example"),
    ("LETTA_MEMFS_SERVICE_URL", "http://127.0.0.1:8285"),
    ("HTTPS_PROXY", "http://127.0.0.1:3128"),
    ("HTTP_PROXY", "socks5://proxy.example:1080"),
    ("ALL_PROXY", "proxy.example:3128"),
]


@pytest.mark.parametrize(("name", "value"), WRONG_VALUES)
def test_a_value_that_the_server_cannot_run_with_is_refused_in_any_spelling(name: str, value: str) -> None:
    for spelling in (name, name.lower()):
        (problem,) = variable(spelling, value)
        assert problem.key == f"letta:{PLAIN}.{spelling}"
        assert problem.rule == FORMS[name].rule
    (problem,) = variable(name, value, key=SECRET)
    assert problem.key == f"letta:{SECRET}.{name}"
    assert f" {value} " not in problem.fix


GOOD_VALUES = [
    ("LETTA_CORS_ORIGINS", '["https://a.example"]'),
    ("LETTA_LLM_REQUEST_TIMEOUT_SECONDS", "10"),
    ("LETTA_LLM_REQUEST_TIMEOUT_SECONDS", "1800.0"),
    ("LETTA_DEFAULT_LLM_HANDLE", "openai/gpt-4o-mini"),
    ("LETTA_TRACK_PROVIDER_TRACE", "false"),
    ("LETTA_USE_GRANIAN", "false"),
    ("MCP_DISABLE_STDIO", "true"),
    ("TOOL_EXEC_DIR", "/var/lib/letta/tools"),
    ("SGLANG_API_BASE", f"http://{MACHINE}:30000"),
    ("LMSTUDIO_BASE_URL", f"http://{MACHINE}:1234/v1"),
    ("ZAI_BASE_URL", "https://api.z.ai/api/paas/v4/"),
    ("HTTPS_PROXY", "http://proxy.example:3128"),
    ("https_proxy", "http://proxy.example:3128"),
    ("NO_PROXY", "localhost,127.0.0.1"),
    ("MY_OWN", "http://localhost:8283"),
    ("my_own", "text with spaces, ünïcode"),
    ("LETTA_API_OF_A_TOOL", "x"),
]


@pytest.mark.parametrize(("name", "value"), GOOD_VALUES)
def test_a_value_that_the_server_runs_with_is_accepted(name: str, value: str) -> None:
    accepted(**{PLAIN: {name: value}})


@pytest.mark.parametrize("name", sorted(FORMS))
def test_every_documented_variable_has_a_value_that_is_accepted(name: str) -> None:
    candidates = (
        "true", "false", "10", "100", "0.5", "http://host.example:8000", "host.example", "postgres", "/tmp/tools", '["https://a"]',
        "partial_evict_message_buffer_mode",
    )  # fmt: skip
    assert any(value_rule(name, value) is None for value in candidates)
    assert value_rule(name, UNREADABLE) is None or not name.endswith("_KEY")


def test_a_secret_that_cannot_be_decrypted_here_is_not_judged() -> None:
    accepted(serverSecrets={"HTTPS_PROXY": UNREADABLE})


def test_credentials_of_a_proxy_end_as_a_secret_that_the_container_takes() -> None:
    address = "http://me:hunter22@proxy.example:3128"
    (problem,) = variable("https_proxy", address)
    assert problem.rule.endswith("store it encrypted as letta:serverSecrets.HTTPS_PROXY")
    (problem,) = variable("https_proxy", address, key=SECRET)
    assert problem.rule.endswith("use letta:serverSecrets.HTTPS_PROXY")
    accepted(serverSecrets={"HTTPS_PROXY": address})


def test_a_variable_of_the_server_may_be_set_in_one_spelling_and_one_place() -> None:
    (problem,) = problems(
        serverEnvironment={"LETTA_TRACK_STOP_REASON": "true", "letta_track_stop_reason": "false"}
    )
    assert problem.rule.startswith("is LETTA_TRACK_STOP_REASON to the server")
    (problem,) = problems(serverEnvironment={"my_flag": "on"}, serverSecrets={"MY_FLAG": "off"})
    assert problem.rule.startswith("is also in letta:serverSecrets")
    # Programs read one or the other of these.
    proxy = "http://proxy.example:3128"
    accepted(serverEnvironment={"https_proxy": proxy, "HTTPS_PROXY": proxy})


def test_tracing_by_datadog_needs_the_address_of_its_agent() -> None:
    (problem,) = variable("LETTA_TELEMETRY_ENABLE_DATADOG", "True")
    assert problem.fix == (
        "pulumi config set --path letta:serverEnvironment.LETTA_TELEMETRY_DATADOG_AGENT_HOST "
        f"{MACHINE} --stack dev"
    )
    accepted(
        serverEnvironment={
            "LETTA_TELEMETRY_ENABLE_DATADOG": "true",
            "letta_telemetry_datadog_agent_host": MACHINE,
        }
    )


@pytest.mark.parametrize("name", ["a:b", "a,b"])
def test_a_source_directory_that_no_mount_can_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "letta").mkdir(parents=True)
    (tmp_path / name / "letta" / "__init__.py").touch()
    rules = [problem.rule for problem in problems(sourceDirectory=str(tmp_path / name))]
    assert rules == (["must be a path without colons, which separate the parts of a mount"] if ":" in name else [])


def test_a_misspelt_variable_of_the_server_is_refused_with_the_one_that_was_meant() -> None:
    (problem,) = variable("LETTA_TRACK_PROVIDER_TRACES", "false")
    assert problem.rule == "is no variable of the server: did you mean LETTA_TRACK_PROVIDER_TRACE?"


def test_variables_that_no_process_can_be_started_with_are_refused() -> None:
    (problem,) = variable("MY_TEXT", "ü" * 40_000)
    assert problem.rule == "must not be longer than 65536 bytes"
    (problem,) = problems(serverEnvironment={f"MY_TEXT_{number}": "x" * 60_000 for number in range(20)})
    assert problem.rule.startswith("is too large")
    for key in (PLAIN, SECRET):
        (problem,) = problems(**{key: '{"MY_TEXT": "\\ud800"}'})
        assert problem.rule == "must not contain control characters or line breaks"
    (problem,) = variable("X" * 129, "x")
    assert "128 at most" in problem.rule
