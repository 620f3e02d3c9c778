"""From raw configuration to `Settings`, with all problems at once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from settings.model import NAMESPACE, SECRET_KEYS, Settings
from settings.problems import Problem, SettingsError, Violation, remove_command, set_command, set_secret_command
from settings.raw_values import UNREADABLE, is_empty, is_object, is_unset, parsed
from settings.rules import violations
from settings.schema import fields
from settings.schema import rule as rule_of
from settings.stack_file import read_stack_file
from settings.values import PROJECT_ROOT

_STORED_PLAIN = (
    "is a secret but stored as plain text: store it encrypted, and replace it if the file has left this machine"
)

# Pulumi's own; those of providers are read by default providers only, and the program has none.
_FOREIGN_KEYS = frozenset({"pulumi:disable-default-providers", "pulumi:autonaming", "pulumi:tags"})
_INSTEAD = {
    "docker": "which engine is used is decided by the environment variable DOCKER_HOST",
    "docker:registryAuth": "pull private images on the engine's machine first (`docker login`, `docker pull`)",
    "random": "there is nothing to configure",
    "pulumi": f"of pulumi: only {', '.join(sorted(key.partition(':')[2] for key in _FOREIGN_KEYS))} are read",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What was read from a stack's configuration, valid or not."""

    stack: str
    settings: Settings
    """What is valid; a key that is invalid, alone or together with others, has its default."""
    problems: tuple[Problem, ...]

    def require(self) -> Settings:
        """Return the settings if all of them are valid.

        Raises:
            SettingsError: with every problem at once.
        """
        if self.problems:
            raise SettingsError(self.problems, stack=self.stack)
        return self.settings

    def is_valid(self, key: str) -> bool:
        """Whether no problem is with this key itself."""
        return all(problem.key.partition(".")[0] != f"{NAMESPACE}:{key}" for problem in self.problems)


def check(
    raw: Mapping[str, object], secret_keys: Collection[str], *, stack: str, plain_parts: Collection[str] = ()
) -> Loaded:
    """Return the settings of a stack's configuration, and what is wrong with it; no access to Pulumi.

    Reads the disk only for the paths that settings name.

    Args:
        raw: values by key, with namespace (`letta:apiPort`) or without (`apiPort`), typed or as the text that
            Pulumi makes of them. A secret that cannot be decrypted is `UNREADABLE`: it counts as set and valid.
        secret_keys: the keys that are stored encrypted.
        stack: the stack's name, for the commands that fix a problem.
        plain_parts: paths that are not encrypted although their key is.
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
        if key not in fields():
            problems.append(_unknown(key, stack=stack))
            continue
        if is_unset(key, value):
            continue
        problem = _storage_problem(key, value, encrypted=key in secret, stack=stack)
        if problem is not None:
            problems.append(problem)
            wrong.add(key)
        unknown = value == UNREADABLE and (key not in SECRET_KEYS or is_object(key))
        # A secret that is stored as plain text is still checked, so that one round fixes both.
        if not is_empty(value) and not unknown:
            values[key] = parsed(key, value)
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        # `include_input` off: a value may be a secret that was set under the wrong key.
        for detail in error.errors(include_url=False, include_context=True, include_input=False):
            path = [str(part) for part in detail["loc"]]
            key = path[0]
            wrong.add(key)
            rule = (
                str(detail["ctx"]["rule"])
                if detail["type"] == "rule"
                else rule_of(fields()[key], nested=len(path) > 1)
            )
            example = detail["ctx"].get("example") if detail["type"] == "rule" else None
            problems.append(_value_problem(".".join(path[:2]), rule, stack=stack, example=example))
    # Every key has a default, so what remains is valid, and the rules between these keys can be checked as well.
    remaining = {key: value for key, value in values.items() if key not in wrong}
    settings = Settings.model_validate(remaining)
    broken = tuple(violations(settings))
    problems += [_reported(one, stack=stack) for one in broken if not one.involved & wrong]
    return Loaded(
        stack=stack, settings=_without(broken, remaining, settings), problems=tuple(dict.fromkeys(problems))
    )


def load(
    raw: Mapping[str, object], secret_keys: Collection[str], *, stack: str, plain_parts: Collection[str] = ()
) -> Settings:
    """Return the settings of a stack's configuration; see `check` for the arguments.

    Raises:
        SettingsError: with every problem at once.
    """
    return check(raw, secret_keys, stack=stack, plain_parts=plain_parts).require()


def from_pulumi() -> Settings:
    """Return the settings of the stack that this program runs for; the only reader of Pulumi's configuration.

    Raises:
        SettingsError: with every problem at once, in a form that Pulumi prints without traceback.
    """
    import pulumi
    from pulumi.runtime import config as runtime_config

    class RefusedError(SettingsError, pulumi.RunError):
        pass

    # `pulumi.Config` shows one namespace only, but a typo in a namespace must be seen. The language host hands the
    # full map over in the environment; what was set in the process (tests, inline programs) takes precedence.
    raw: dict[str, object] = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    listed = set(runtime_config.get_config_secret_keys_env())
    secret_keys = {key for key in raw if key in listed or runtime_config.is_config_secret(key)}
    stack = pulumi.get_stack()
    # One encrypted part makes Pulumi mark the entire object as secret; only the file shows which are plain. It
    # may be elsewhere (`--config-file`), which is no error here.
    plain_parts = read_stack_file(PROJECT_ROOT / f"Pulumi.{stack}.yaml").plain_parts
    loaded = check(raw, secret_keys, stack=stack, plain_parts=plain_parts)
    if loaded.problems:
        raise RefusedError(loaded.problems, stack=stack)
    return loaded.settings


def _without(broken: Collection[Violation], remaining: Mapping[str, object], settings: Settings) -> Settings:
    """Return settings in which keys have their defaults where a rule between keys is broken."""
    while broken:
        dropped: set[str] = set()
        for one in broken:
            # The key may already have its default: then the settings that it conflicts with are reset.
            named = {one.key.partition(".")[0]} & remaining.keys()
            dropped |= named or one.involved
        remaining = {key: value for key, value in remaining.items() if key not in dropped}
        settings = Settings.model_validate(remaining)
        broken = tuple(violations(settings))
    return settings


def _bare(key: str) -> str:
    return key.removeprefix(f"{NAMESPACE}:")


def _foreign(full_key: str, *, stack: str) -> Problem | None:
    """Return the problem of a key of another namespace that nothing reads; None where something reads it."""
    namespace, colon, name = full_key.partition(":")
    if not colon or namespace == NAMESPACE or full_key in _FOREIGN_KEYS:
        return None
    instead = _INSTEAD.get(full_key) or _INSTEAD.get(namespace)
    if instead:
        return Problem(
            key=full_key, rule=f"is read by nothing: {instead}", fix=remove_command(full_key, stack=stack)
        )
    near = difflib.get_close_matches(name, fields(), n=1)
    if name in fields() or difflib.get_close_matches(namespace, [NAMESPACE], cutoff=0.6):
        meant = near[0] if near else name
        hint = f"did you mean {NAMESPACE}:{meant}?"
    else:
        hint = f"settings start with {NAMESPACE}:"
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


def _storage_problem(key: str, value: object, *, encrypted: bool, stack: str) -> Problem | None:
    full_key = f"{NAMESPACE}:{key}"
    if is_empty(value):
        return Problem(
            key=full_key, rule="is empty: set a value, or remove it", fix=remove_command(full_key, stack=stack)
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
        return _value_problem(
            key, "is stored encrypted, but is not a secret: its value will be readable", stack=stack
        )
    return None


def _value_problem(key: str, rule: str, *, stack: str, example: str | None = None) -> Problem:
    return Problem(key=f"{NAMESPACE}:{key}", rule=rule, fix=_fix(key, stack=stack, example=example))


def _reported(broken: Violation, *, stack: str) -> Problem:
    fix = (
        remove_command(f"{NAMESPACE}:{broken.key}", stack=stack)
        if broken.remove
        else _fix(broken.key, stack=stack, example=broken.example)
    )
    return Problem(key=f"{NAMESPACE}:{broken.key}", rule=broken.rule, fix=fix)


def _fix(key: str, *, stack: str, example: str | None = None) -> str:
    """Return the command that gives a key, or a path within an object, a valid value."""
    top, _, name = key.partition(".")
    field = fields()[top]
    if is_object(top) and not name:
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
