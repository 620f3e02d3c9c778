"""The server's environment: variables that a setting decides or the platform reserves, and those of providers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from settings import server_variables
from settings.model import Settings
from settings.schema import fields, metadata
from settings.values import ProviderVariable, Variable

_VARIABLES: Mapping[str, Variable] = {
    key: entry for key, field in fields().items() for entry in metadata(field) if isinstance(entry, Variable)
}
_SETTING_OF: Mapping[str, str] = {
    name: key for key, variable in _VARIABLES.items() for name in (variable.name, *variable.synonyms)
}

# What the platform sets itself, or what would change which code runs or where it looks for its files.
_RESERVED = frozenset(
    {
        "HOME", "PATH", "HOST", "PORT", "SECURE", "USER", "TMPDIR", "ENV", "HOSTNAME",
        "LETTA_DIR", "LETTA_LOG_FOLDER", "LETTA_CONFIG_PATH", "LETTA_DISABLE_SQLALCHEMY_POOLING",
        "LETTA_AUTHORITIES", "LETTA_CLICKHOUSE_PASSWORD", "LETTA_WAIT_SECONDS", "LETTA_HEALTH_SECONDS",
        "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "ENV_NAME", "FORWARDED_ALLOW_IPS",
        "NLTK_DATA", "TIKTOKEN_CACHE_DIR",
    }
)  # fmt: skip
_RESERVED_PREFIXES = (
    "LETTA_PG_", "LETTA_REDIS_", "LETTA_SERVER_", "LETTA_ENCRYPTION_", "LETTA_OTEL_", "LETTA_UVICORN_",
    "LETTA_LOGGING_", "LETTA_CLICKHOUSE_", "CLICKHOUSE_", "SIGNOZ_", "DD_", "POSTGRES_", "REDIS_",
    "OTEL_EXPORTER_", "PYTHON", "LD_",
)  # fmt: skip

# Bash, which starts the server, gives them a meaning or values of its own; the last four are its script's.
_SHELL = frozenset(
    {
        "COMP_WORDBREAKS", "DIRSTACK", "EPOCHREALTIME", "EPOCHSECONDS", "EUID", "FUNCNAME", "GLOBIGNORE", "GROUPS",
        "HISTCMD", "IFS", "LINENO", "OLDPWD", "OPTERR", "OPTIND", "PIPESTATUS", "POSIXLY_CORRECT", "PPID", "PS4",
        "PWD", "RANDOM", "SECONDS", "SHELLOPTS", "SHLVL", "SRANDOM", "TMOUT", "UID", "_",
        "file", "name", "value", "work",
    }
)  # fmt: skip

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_SECRET_LOOKING = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|ACCESS_?KEY|(API_?KEY|(^|_)(KEY|TOKEN|DSN))$", re.IGNORECASE
)
_CREDENTIALS_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")


def provider_values(settings: Settings) -> Iterator[tuple[str, str | SecretStr]]:
    """Yield each variable of a model provider whose setting is set, with its value."""
    for key, variable in _VARIABLES.items():
        if isinstance(variable, ProviderVariable) and (value := settings.value(key)):
            yield variable.name, value


def has_provider(settings: Settings) -> bool:
    """Whether the server can use a model provider."""
    return any(
        isinstance(variable, ProviderVariable) and variable.suffices and settings.value(key)
        for key, variable in _VARIABLES.items()
    )


def name_rule(name: str, *, secret: bool = False) -> str | None:
    """Return why users may not set a variable themselves, as the end of a sentence; None if they may.

    `secret` is for the names of files from which the server's container takes its secrets.
    """
    if not _VARIABLE_NAME.fullmatch(name):
        return "is not a name for an environment variable (letters, digits and _, no digit first, 128 at most)"
    upper = name.upper()  # the server reads its settings without regard to case
    rule = _owner(name) or server_variables.REFUSED.get(upper)
    if rule is not None:
        return rule
    meant = _meant(upper)
    if meant is not None:
        return f"is no variable of the server: did you mean {meant}?"
    if secret and name != upper:
        return f"must be in capitals, since the container takes no other secrets: use letta:serverSecrets.{upper}"
    return None


def _owner(name: str) -> str | None:
    """Return who decides a variable instead of the user, as the end of a sentence; None where the user may."""
    upper = name.upper()
    if upper in _SETTING_OF:
        return f"has a setting of its own: use letta:{_SETTING_OF[upper]}"
    if upper in _RESERVED or upper.startswith(_RESERVED_PREFIXES):
        return "is set by the platform and cannot be set here"
    if name in _SHELL or name.startswith("BASH"):
        return "belongs to the shell that starts the server, and cannot be set here"
    return None


def value_rule(name: str, value: str) -> str | None:
    """Return why the server cannot run with a variable's value, as the end of a sentence; None if it can."""
    form = server_variables.FORMS.get(name.upper())
    return None if form is None or form.accepts(value) else form.rule


def is_true(value: str) -> bool:
    """Whether the server takes a text for true."""
    return value.lower() in server_variables.TRUE


def ignores_case(name: str) -> bool:
    """Whether a variable is the server's, which reads it in any spelling."""
    return name.upper() in server_variables.FORMS and not name.upper().endswith("_PROXY")


def _meant(name: str) -> str | None:
    """Return the variable of the server that a misspelt one was probably meant to be."""
    if not name.startswith("LETTA_") or name in server_variables.FORMS:
        return None
    return next(iter(difflib.get_close_matches(name, server_variables.FORMS, n=1, cutoff=0.92)), None)


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable probably holds a secret."""
    return bool(_SECRET_LOOKING.search(name) or _CREDENTIALS_IN_URL.search(value))
