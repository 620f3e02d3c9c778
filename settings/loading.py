"""From raw configuration to `Settings`: parses what Pulumi hands over as text and tells all problems at once."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from settings.model import FIELDS_ONLY, NAMESPACE, SECRET_KEYS, Settings
from settings.problems import Problem, SettingsError, remove_command, set_command, set_secret_command
from settings.rules import Violation, violations
from settings.schema import fields, is_optional, kinds
from settings.schema import rule as rule_of
from settings.stack_file import read_stack_file
from settings.values import PROJECT_ROOT

UNSET = "none"
"""What an optional key holds while nobody has set it.

Pulumi demands a value for every declared key without default, so optional keys need one that means nothing.
An empty string would not do: it is a mistake that must be told.
"""

_STORED_PLAIN = (
    "is a secret but stored as plain text: store it encrypted, and get a new one if the file has left this machine"
)

# `pulumi` is the engine's own namespace, the others belong to the providers that the program uses.
_FOREIGN_NAMESPACES = frozenset({"pulumi", "docker", "random"})


def load(
    raw: Mapping[str, object], secret_keys: Collection[str], *, stack: str, plain_parts: Collection[str] = ()
) -> Settings:
    """The settings that a stack's configuration gives; no access to Pulumi.

    `raw` holds values by key, with namespace (`letta:apiPort`) or without (`apiPort`), typed or as the text that
    Pulumi makes of them. `secret_keys` names the keys that are stored encrypted, `plain_parts` the paths that are
    not although their key is. Reads the disk only for the paths that settings name. Raises `SettingsError` with
    every problem at once.
    """
    problems = [
        _value_problem(_bare(path), _STORED_PLAIN, stack=stack)
        for path in plain_parts
        if _bare(path).partition(".")[0] in SECRET_KEYS
    ]
    secret = {_bare(key) for key in secret_keys}
    values: dict[str, object] = {}
    wrong: set[str] = set()
    for full_key in sorted(raw):
        key = _bare(full_key)
        value = raw[full_key]
        problem = _foreign(full_key, stack=stack)
        if ":" in key:
            if problem is not None:
                problems.append(problem)
            continue
        field = fields().get(key)
        if field is None:
            problems.append(_unknown(key, stack=stack))
            continue
        if _is_unset(value, field, key):
            continue
        parsed = _parsed(value, field)
        problem = _storage_problem(key, value, encrypted=key in secret, stack=stack)
        if problem is not None:
            problems.append(problem)
            wrong.add(key)
        # A secret that is wrongly stored is still checked, so that one round mends both.
        if not _is_empty(value):
            values[key] = parsed
    try:
        Settings.model_validate(values, context=FIELDS_ONLY)
    except ValidationError as error:
        # `include_input` off: what people typed may be a secret in the wrong place.
        for detail in error.errors(include_url=False, include_context=True, include_input=False):
            path = [str(part) for part in detail["loc"]]
            key = path[0]
            wrong.add(key)
            rule = (
                str(detail["ctx"]["rule"])
                if detail["type"] == "rule"
                else rule_of(fields()[key], nested=len(path) > 1)
            )
            problems.append(_value_problem(".".join(path[:2]), rule, stack=stack))
    # Every key has a default, so that what remains is valid and the rules between good keys can be told as well.
    remaining = {key: value for key, value in values.items() if key not in wrong}
    settings = Settings.model_validate(remaining, context=FIELDS_ONLY)
    problems += [_reported(broken, stack=stack) for broken in violations(settings) if not broken.involved & wrong]
    if problems:
        raise SettingsError(_unique(problems), stack=stack)
    return settings


def from_pulumi() -> Settings:
    """The settings of the stack that this program runs for; the only reader of Pulumi's configuration.

    Raises `SettingsError` in a form that Pulumi prints as it is, without traceback.
    """
    import pulumi
    from pulumi.runtime import config as runtime_config

    class RefusedError(SettingsError, pulumi.RunError):
        pass

    # `pulumi.Config` shows one namespace only, but a typo in a namespace must be seen. The language host hands the
    # whole map over in the environment; what was set in the process (tests, inline programs) goes before it.
    raw: dict[str, object] = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    listed = set(runtime_config.get_config_secret_keys_env())
    secret_keys = {key for key in raw if key in listed or runtime_config.is_config_secret(key)}
    stack = pulumi.get_stack()
    # One encrypted part makes Pulumi call the whole object secret; only the file shows that others are plain. It
    # may lie elsewhere (`--config-file`), which is no error here.
    path = PROJECT_ROOT / f"Pulumi.{stack}.yaml"
    plain_parts = read_stack_file(path).plain_parts if path.is_file() else ()
    try:
        return load(raw, secret_keys, stack=stack, plain_parts=plain_parts)
    except SettingsError as error:
        raise RefusedError(error.problems, stack=stack) from None


def from_config_json(document: Mapping[str, Mapping[str, Any]], *, stack: str) -> Settings:
    """The settings out of what `pulumi config --json --show-secrets` prints, for tools that run beside Pulumi."""
    raw = {key: entry.get("value") for key, entry in document.items()}
    return load(raw, [key for key, entry in document.items() if entry.get("secret")], stack=stack)


def _bare(key: str) -> str:
    return key.removeprefix(f"{NAMESPACE}:")


def _foreign(full_key: str, *, stack: str) -> Problem | None:
    """The problem of a key in a namespace that nothing here reads; None in a namespace that something reads."""
    namespace, colon, name = full_key.partition(":")
    if not colon or namespace == NAMESPACE or namespace in _FOREIGN_NAMESPACES:
        return None
    near = difflib.get_close_matches(name, fields(), n=1)
    if name in fields() or difflib.get_close_matches(namespace, [NAMESPACE], cutoff=0.6):
        meant = near[0] if near else name
        hint = f"did you mean {NAMESPACE}:{meant}?"
    else:
        hint = f"settings start with {NAMESPACE}: (docker:, random: and pulumi: are known, too)"
    return Problem(
        key=full_key,
        rule=f"is in a namespace that nothing reads: {hint}",
        fix=remove_command(full_key, stack=stack),
    )


def _unknown(key: str, *, stack: str) -> Problem:
    near = difflib.get_close_matches(key, fields(), n=1)
    hint = f"did you mean {NAMESPACE}:{near[0]}?" if near else "docs/configuration.md lists all"
    full_key = f"{NAMESPACE}:{key}"
    return Problem(key=full_key, rule=f"is not a known setting: {hint}", fix=remove_command(full_key, stack=stack))


def _is_unset(value: object, field: FieldInfo, key: str) -> bool:
    return (is_optional(field) and value == UNSET) or (key in SECRET_KEYS and value in ({}, "{}"))


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip() == "")


def _storage_problem(key: str, value: object, *, encrypted: bool, stack: str) -> Problem | None:
    full_key = f"{NAMESPACE}:{key}"
    if _is_empty(value):
        return Problem(
            key=full_key,
            rule="is empty: give it a value, or take it out",
            fix=remove_command(full_key, stack=stack),
        )
    if key in SECRET_KEYS and not encrypted:
        return _value_problem(key, _STORED_PLAIN, stack=stack)
    if encrypted and key == "serverEnvironment":
        return Problem(
            key=full_key,
            rule="holds encrypted values, but anyone can read these variables: use letta:serverSecrets for them",
            fix=remove_command(full_key, stack=stack),
        )
    if encrypted and key not in SECRET_KEYS:
        return _value_problem(key, "is stored encrypted, but it is no secret and will be readable", stack=stack)
    return None


def _parsed(value: object, field: FieldInfo) -> object:
    """The value in its setting's own type if its text has that form; otherwise as it is, to be refused."""
    wanted = set(kinds(field.annotation))
    if dict in wanted:
        return _parsed_object(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    if bool in wanted:
        return {"true": True, "false": False}.get(text, value)
    if int in wanted and re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if float in wanted and re.fullmatch(r"[+-]?\d{1,9}(\.\d{1,9})?", text):
        return float(text)
    return value


def _parsed_object(value: object) -> object:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, Mapping):
        return value
    return {str(name): _as_text(entry) for name, entry in value.items()}


def _as_text(value: object) -> object:
    """Numbers and truth values as people mean them in an environment variable; anything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _value_problem(key: str, rule: str, *, stack: str) -> Problem:
    return Problem(key=f"{NAMESPACE}:{key}", rule=rule, fix=_fix(key, stack=stack))


def _reported(broken: Violation, *, stack: str) -> Problem:
    fix = (
        remove_command(f"{NAMESPACE}:{broken.key}", stack=stack)
        if broken.remove
        else _fix(broken.key, stack=stack, example=broken.example)
    )
    return Problem(key=f"{NAMESPACE}:{broken.key}", rule=broken.rule, fix=fix)


def _fix(key: str, *, stack: str, example: str | None = None) -> str:
    """The command that gives a key, or a path within an object, a good value."""
    top, _, name = key.partition(".")
    field = fields()[top]
    if dict in kinds(field.annotation) and not name:
        key = f"{top}.NAME"
    full_key = f"{NAMESPACE}:{key}"
    if top in SECRET_KEYS:
        return set_secret_command(full_key, stack=stack)
    if example is None:
        default = field.get_default(call_default_factory=True)
        if field.examples:
            example = str(field.examples[0])
        elif default in (None, {}):
            example = "VALUE"
        else:
            example = str(default).lower() if isinstance(default, bool) else str(default)
    return set_command(full_key, example, stack=stack)


def _unique(problems: list[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))
