"""What holds for all settings, tried with generated ones."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import catalogue
from catalogue import Composition
from settings import SECRET_KEYS, SettingsError, check, load, published_ports
from settings.rules import violations
from settings.schema import fields

pytestmark = pytest.mark.unit

# Machines differ: neither a slow case nor slow generation is a failure.
unhurried = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

CANARY = "canary7f3a91"
PORT_KEYS = sorted({key for composition in Composition for key in catalogue.published_ports(composition)})
# Few enough numbers that both outcomes are usual.
ports = st.one_of(st.integers(1, 12), st.integers(1, 65535), st.sampled_from([1, 65535, 4317, 8283]))
# Ways in which users paste a secret wrongly: quoted, with line breaks, within an object.
mangled = st.sampled_from(
    [
        CANARY,
        f" {CANARY}",
        f"{CANARY}\n{CANARY}",
        f"{CANARY}\x00",
        f"https://user:{CANARY}@host.example",
        f"{{{CANARY}",
        f"{CANARY}%{{}}",
        json.dumps({"MY_SECRET": CANARY}),
        json.dumps({"MY_SECRET": {"nested": CANARY}}),
        json.dumps([CANARY]),
        json.dumps({"MY_SECRET": f"{CANARY}\n"}),
    ]
)


@unhurried
@given(values=st.fixed_dictionaries(dict.fromkeys(PORT_KEYS, ports)), services=st.sampled_from(Composition))
def test_ports_are_accepted_exactly_if_what_runs_has_distinct_ones(
    values: dict[str, int], services: Composition
) -> None:
    used = catalogue.published_ports(services)
    distinct = len({values[key] for key in used}) == len(used)
    raw = {"services": services.value, **{key: str(port) for key, port in values.items()}}
    if distinct:
        settings = load(raw, (), stack="dev")
        assert published_ports(settings) == {key: values[key] for key in used}
    else:
        with pytest.raises(SettingsError, match="two services cannot listen on one port"):
            load(raw, (), stack="dev")


@unhurried
@given(port=st.one_of(st.integers(-(10**20), 10**20), st.integers(-2, 2), st.integers(65530, 65540)))
def test_a_port_is_accepted_exactly_within_its_range(port: int) -> None:
    raw = {"letta:apiPort": str(port), "letta:otlpGrpcPort": "1", "letta:otlpHttpPort": "2"}
    raw |= {"letta:collectorHealthPort": "3", "letta:collectorMetricsPort": "4"}
    if 5 <= port <= 65535:
        assert load(raw, (), stack="dev").api_port == port
    else:
        with pytest.raises(SettingsError):
            load(raw, (), stack="dev")


@unhurried
@given(
    values=st.fixed_dictionaries({}, optional=dict.fromkeys(sorted(SECRET_KEYS), mangled)),
    encrypted=st.sets(st.sampled_from(sorted(SECRET_KEYS))),
    broken=st.booleans(),
)
def test_no_error_holds_a_secret(values: dict[str, str], encrypted: set[str], broken: bool) -> None:
    raw: dict[str, object] = {**values, "apiPort": "0" if broken else "8283"}
    try:
        settings = load(raw, encrypted, stack="dev")
    except SettingsError as error:
        reported = "".join(traceback.format_exception(error)) + repr(error) + repr(error.problems)
        assert CANARY not in reported
    else:
        assert CANARY not in repr(settings)
        assert CANARY not in str(settings.model_dump())


@unhurried
@given(key=st.sampled_from(sorted(fields())), value=mangled)
def test_a_secret_that_strays_into_another_key_is_not_repeated(key: str, value: str) -> None:
    try:
        load({key: value}, (), stack="dev")
    except SettingsError as error:
        reported = "".join(traceback.format_exception(error)) + repr(error.problems)
        assert CANARY not in reported


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@unhurried
@given(raw=st.dictionaries(st.sampled_from(sorted(fields())), anything, max_size=8), data=st.data())
def test_any_configuration_gives_settings_that_keep_every_rule(raw: dict[str, Any], data: st.DataObject) -> None:
    encrypted = data.draw(st.sets(st.sampled_from(sorted(SECRET_KEYS))))
    loaded = check(raw, encrypted, stack="dev")
    assert all(problem.key.startswith("letta:") for problem in loaded.problems)
    assert list(violations(loaded.settings)) == []
    if not loaded.problems:
        assert load(raw, encrypted, stack="dev") == loaded.settings


@unhurried
@given(name=st.text(min_size=1, max_size=30))
def test_any_unknown_key_is_refused(name: str) -> None:
    if name in fields() or name.startswith(("letta:", "pulumi:")):
        return
    with pytest.raises(SettingsError):
        load({name: "1"}, (), stack="dev")


numbers = st.fixed_dictionaries(
    {},
    optional={
        "lettaReplicas": st.integers(1, 16),
        "lettaPoolSize": st.integers(1, 100),
        "lettaPoolMaxOverflow": st.integers(0, 100),
        "postgresMaxConnections": st.integers(20, 1000),
        "telemetrySpansPerSecond": st.integers(1, 1_000_000),
        "telemetrySpanBytes": st.integers(100, 1_000_000),
        "telemetryOutageSeconds": st.integers(1, 604_800),
        "telemetryQueueDiskMb": st.integers(1, 10_000_000),
        "nginxCpus": st.floats(-1, 2000, allow_nan=False),
        "otlpHttpPort": st.integers(-1, 65_536),
        "otlpHostName": st.just("letta.example.com"),
        "requireTls": st.booleans(),
        "services": st.sampled_from(["all", "data"]),
        "bindAddress": st.sampled_from(["0.0.0.0", "127.0.0.1", "localhost"]),  # noqa: S104
        "ollamaBaseUrl": st.sampled_from(["http://localhost:11434", "http://127.1/v1", "ollama"]),
    },
)


@unhurried
@given(raw=numbers)
def test_following_the_commands_of_refusals_ends_with_accepted_settings(raw: dict[str, Any]) -> None:
    raw = {**raw, "signozEndpoint": "https://signoz.example", "signozIngestionKey": "secret"}
    for _ in range(12):
        problems = check(raw, ["signozIngestionKey"], stack="dev").problems
        if not problems:
            return
        for problem in problems:
            words = problem.fix.split()
            key = words[3].removeprefix("letta:")
            if words[2] == "set":
                raw[key] = words[4]
            else:
                del raw[key]
    pytest.fail(f"the commands lead nowhere: {[problem.fix for problem in problems]}")
