"""Rules about the variables of `serverEnvironment` and `serverSecrets`: names, values, and the two together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from catalogue import MACHINE
from settings import server_environment
from settings.model import Settings
from settings.problems import Violation
from settings.raw_values import UNREADABLE
from settings.values import LONGEST_BYTES

_PLAIN, _SECRET = "serverEnvironment", "serverSecrets"
_TOGETHER_BYTES = 1_000_000
"""Half of what the kernel takes for a process' environment and arguments."""


def violations(settings: Settings) -> Iterator[Violation]:
    """Yield every rule that is broken by the variables that the user sets."""
    plain = settings.server_environment
    secrets = {name: value.get_secret_value() for name, value in settings.server_secrets.items()}
    for key, variables in ((_PLAIN, plain), (_SECRET, secrets)):
        for name, value in sorted(variables.items()):
            rule = server_environment.name_rule(name, secret=key == _SECRET)
            if rule is not None:
                yield _violation(f"{key}.{name}", rule)
            elif value != UNREADABLE:
                yield from _wrong_value(key, name, value)
        yield from _twice(key, variables)
    yield from _misplaced(plain, secrets)
    yield from _agentless({name.upper(): value for name, value in (*plain.items(), *secrets.items())})
    # JSON can hold half a character, which no encoding takes; the value's own rule refuses it.
    size = sum(
        len(f"{name}={value}".encode(errors="replace")) + 1 for name, value in (*plain.items(), *secrets.items())
    )
    if size > _TOGETHER_BYTES:
        yield _violation(
            _PLAIN if len(str(plain)) > len(str(secrets)) else _SECRET,
            f"is too large: with the other variables of the user it must not exceed {_TOGETHER_BYTES} bytes",
        )


def _violation(key: str, rule: str) -> Violation:
    return Violation(key=key, rule=rule, involved=frozenset({_PLAIN, _SECRET}), remove=True)


def _wrong_value(key: str, name: str, value: str) -> Iterator[Violation]:
    rule = server_environment.value_rule(name, value)
    if not value:
        yield _violation(f"{key}.{name}", "is empty: set a value, or remove it")
    elif not value.replace("\t", "").isprintable():
        rule = "must not contain control characters or line breaks"
        yield dataclasses.replace(_violation(f"{key}.{name}", rule), example="VALUE", remove=False)
    elif len(value.encode()) > LONGEST_BYTES:
        yield _violation(f"{key}.{name}", f"must not be longer than {LONGEST_BYTES} bytes")
    elif rule is not None:
        yield _violation(f"{key}.{name}", rule)


def _twice(key: str, variables: Mapping[str, str]) -> Iterator[Violation]:
    """Yield variables of the server that are set in two spellings: it takes one of them."""
    first: dict[str, str] = {}
    for name in sorted(variables):
        other = first.setdefault(name.upper(), name)
        if other != name and server_environment.ignores_case(name):
            yield _violation(f"{key}.{name}", f"is {other} to the server, which is set, too: keep one of the two")


def _agentless(variables: Mapping[str, str]) -> Iterator[Violation]:
    """Yield Datadog's tracing without the agent that it sends to."""
    enabled = server_environment.is_true(variables.get("LETTA_TELEMETRY_ENABLE_DATADOG", ""))
    if enabled and "LETTA_TELEMETRY_DATADOG_AGENT_HOST" not in variables:
        yield dataclasses.replace(
            _violation(
                f"{_PLAIN}.LETTA_TELEMETRY_DATADOG_AGENT_HOST",
                "is missing: without it the server looks for Datadog's agent in its own container",
            ),
            example=MACHINE,
            remove=False,
        )


def _misplaced(plain: Mapping[str, str], secrets: Mapping[str, str]) -> Iterator[Violation]:
    """Yield plain variables that look like secrets, or are secrets as well."""
    encrypted = {name.upper() for name in secrets}
    for name, value in sorted(plain.items()):
        if server_environment.name_rule(name) is not None:
            continue
        if server_environment.looks_secret(name, value):
            yield _violation(
                f"{_PLAIN}.{name}",
                "looks like a secret, and letta:serverEnvironment is plain text: remove it, "
                f"then store it encrypted as letta:serverSecrets.{name.upper()}",
            )
        elif name.upper() in encrypted:
            yield _violation(f"{_PLAIN}.{name}", "is also in letta:serverSecrets: keep only one of the two")
