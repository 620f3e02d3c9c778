"""What settings accept, the program runs with: accepted settings, boundary values first, under mocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import pytest
from annotated_types import Ge, Le
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import catalogue
import otel
from settings import SECRET_KEYS, UNREADABLE, Problem, check
from settings.schema import fields, kinds, metadata
from tests.unit.conftest import Program, Registered

pytestmark = pytest.mark.unit

# Each example runs the whole program; the fixture keeps nothing of one for another.
unhurried = hypothesis_settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=8)
CONTAINER = "docker:index/container:Container"
# What the Docker provider writes when it reads a container: another form would replace it at each update.
DURATION = re.compile(r"([1-9]\d*h)?(\d+m)?\d+(\.\d+)?s|[1-9]\d*ms")
CPUS = re.compile(r"(\d+\.\d)|(\d\.\d{2})|(\d{2,}\.)")
PARTNERS = {
    "clickhouseEndpoint": {"clickhousePassword": "secret"},
    "signozEndpoint": {"signozIngestionKey": "secret"},
    "datadogSite": {"datadogApiKey": "secret"},
    "azureBaseUrl": {"azureApiKey": "secret"},
    "azureApiVersion": {"azureApiKey": "secret", "azureBaseUrl": "https://name.openai.azure.com"},
    "clickhousePassword": {"clickhouseEndpoint": "https://clickhouse.example"},
    "signozIngestionKey": {"signozEndpoint": "https://signoz.example"},
    "datadogApiKey": {"datadogSite": "datadoghq.com"},
    "azureApiKey": {"azureBaseUrl": "https://name.openai.azure.com"},
    "otlpHostName": {"requireTls": "true"},
    "telemetryProfile": {"clickhouseEndpoint": "https://clickhouse.example", "clickhousePassword": "secret"},
}
# Of these the machine has to have something, or they name every image.
ELSEWHERE = {"caBundle", "telemetryCaBundle", "sourceDirectory", "pinnedImages"}
HAND_WRITTEN: dict[str, tuple[Any, ...]] = {
    "bindAddress": ("127.0.0.1", "0.0.0.0", "127.9.9.9"),  # noqa: S104
    "networkSubnet": ("10.0.0.0/8", "192.168.9.0/24", "100.64.0.0/10"),
    "lettaVersion": ("0.16.8",),
    "collectorVersion": otel.VERSIONS,
    "deploymentEnvironment": ("a", "a" * 32),
    "clickhouseUsername": ("_", "a" * 63),
    "clickhouseDatabase": ("_", "a" * 63),
    "serverPassword": ("x" * 16, "~" * 128),
    "encryptionKey": ("x" * 32, "=" * 256),
    "serverEnvironment": (
        {"MY_TEXT": "x" * 60_000, "https_proxy": "http://proxy.example:3128", "empty_not": " "},
    ),
    "serverSecrets": ({"TAVILY_API_KEY": "a$b{c}'\"`"}, {"TAVILY_API_KEY": UNREADABLE}),
    "baseImage": ("debian:trixie-slim", "Registry.example:5000/a/b@sha256:" + "0" * 64),
}


def boundaries(key: str) -> tuple[Any, ...]:
    """Return the values of a setting at which something may change: ends of its range, choices, odd texts."""
    field = fields()[key]
    kind = kinds(field.annotation)[0]
    least = [entry.ge for entry in metadata(field) if isinstance(entry, Ge)]
    most = [entry.le for entry in metadata(field) if isinstance(entry, Le)]
    found: tuple[Any, ...] = tuple(str(example) for example in field.examples or ())
    if key in HAND_WRITTEN:
        found = HAND_WRITTEN[key]
    elif kind is bool:
        found = ("true", "false")
    elif kind is float:
        found = ("0.1", "0.25", "1", "1.05", "9.99", "10", "10.5", "100", "1024")
    elif kind is int:
        found = (str(least[-1]), str(most[-1]))
    elif isinstance(kind, type) and issubclass(kind, StrEnum):
        found = tuple(member.value for member in kind)
    elif key in SECRET_KEYS:
        found = ("x", "a$b{c}'\"`${env:HOME}", "x" * 60_000)
    return found


def cases() -> Iterator[tuple[str, Any]]:
    for key in fields():
        if key not in ELSEWHERE:
            for value in boundaries(key):
                yield key, value


def accepted(key: str, value: Any) -> dict[str, Any] | None:
    """Return a configuration with a value, and what has to be set with it; None where settings refuse it."""
    raw = {**PARTNERS.get(key, {}), key: value}
    for _ in range(6):
        problems = problems_of(raw)
        if not problems:
            return raw
        # As a user would: what the refusal says to set, where it is another key.
        for problem in problems:
            match = re.fullmatch(r"pulumi config set letta:(\w+) (\S+) --stack dev", problem.fix)
            if match is None or match[1] == key:
                return None
            raw[match[1]] = match[2]
    return None


def verify(seen: list[Registered]) -> None:
    """Check what engine, provider and images would refuse, or read back as something else."""
    for one in seen:
        if one.typ != CONTAINER:
            continue
        for name in ("interval", "timeout", "startPeriod"):
            duration = (one.value("healthcheck") or {}).get(name)
            assert duration is None or DURATION.fullmatch(duration), (one.name, name, duration)
        cpus = one.value("cpus")
        assert cpus is None or (CPUS.fullmatch(cpus) and float(cpus) >= 0.01), (one.name, cpus)
        assert one.value("memory") is None or one.value("memory") >= 6, one.name
        for variable in one.value("envs") or ():
            name, _, value = variable.partition("=")
            assert re.fullmatch(r"[A-Za-z_]\w*", name)
            assert value
            assert len(variable.encode()) < 131_072
        for upload in one.value("uploads") or ():
            assert upload["content"], (one.name, upload["file"])
            if upload["file"].startswith("/run/secrets/") and "server" in one.name:
                assert re.fullmatch(r"/run/secrets/[A-Z_][A-Z0-9_]*", upload["file"])
                assert len(upload["content"].encode()) < 131_000


CASES = list(cases())


def packed() -> list[dict[str, Any]]:
    """Return few configurations that have every accepted boundary value among them: each runs the program once."""
    found: list[dict[str, Any]] = []
    for key, value in CASES:
        alone = accepted(key, value)
        if alone is None:
            continue
        fitting = next((raw for raw in found if fits(raw, alone)), None)
        if fitting is None:
            found.append(alone)
        else:
            fitting.update(alone)
    return found


def fits(raw: dict[str, Any], more: dict[str, Any]) -> bool:
    same = all(raw.get(key, value) == value for key, value in more.items())
    return same and not problems_of({**raw, **more})


def problems_of(raw: dict[str, Any]) -> tuple[Problem, ...]:
    return check(raw, SECRET_KEYS & raw.keys(), stack="dev").problems


def test_the_program_runs_with_every_boundary_value(platform: Program) -> None:
    configurations = packed()
    tried = {key for raw in configurations for key in raw}
    assert set(fields()) - ELSEWHERE - tried == set()
    for raw in configurations:
        verify(platform("dev", tuple(SECRET_KEYS & raw.keys()), **raw))


@unhurried
@given(chosen=st.dictionaries(st.sampled_from(CASES).map(lambda case: case[0]), st.integers(0, 3), max_size=12))
def test_the_program_runs_with_all_that_is_accepted_together(platform: Program, chosen: dict[str, int]) -> None:
    raw: dict[str, Any] = {}
    for key, number in chosen.items():
        values = boundaries(key)
        raw |= {**PARTNERS.get(key, {}), key: values[number % len(values)]}
    for _ in range(6):
        wrong = {problem.key.removeprefix("letta:").partition(".")[0] for problem in problems_of(raw)}
        raw = {key: value for key, value in raw.items() if key not in wrong}
        if wrong and not wrong & chosen.keys():
            raw = {}
    assert problems_of(raw) == ()
    verify(platform("dev", tuple(SECRET_KEYS & raw.keys()), **raw))


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_services_with_an_address_on_this_machine_know_it_and_no_others_do(platform: Program, stack: str) -> None:
    assert not machine_known_by(platform(stack))
    https = f"https://{catalogue.MACHINE}"
    clickhouse = {"letta:clickhouseEndpoint": https, "letta:clickhousePassword": "secret"}
    knowing = machine_known_by(platform(stack, ("letta:clickhousePassword",), **clickhouse))
    collectors = {f"letta-{stack}-collector", *([f"letta-{stack}-collector-1"] if stack != "dev" else [])}
    servers = {f"letta-{stack}-server", *([f"letta-{stack}-server-1"] if stack == "prod" else [])}
    # The server reads traces back from ClickHouse. On dev the profile writes files, too, with one collector.
    assert knowing == {*servers, *collectors, f"letta-{stack}-telemetry-schema"}


def test_a_model_provider_on_this_machine_is_known_by_the_server_alone(platform: Program) -> None:
    seen = platform("dev", **{"letta:ollamaBaseUrl": f"http://{catalogue.MACHINE}:11434"})
    assert machine_known_by(seen) == {"letta-dev-server"}


def machine_known_by(seen: list[Registered]) -> set[str]:
    known = [{"host": catalogue.MACHINE, "ip": "host-gateway"}]
    return {one.name for one in seen if one.typ == CONTAINER and one.value("hosts") == known}
