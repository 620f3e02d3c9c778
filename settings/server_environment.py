"""The server's environment: variables that a setting decides or the platform reserves, and those of providers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

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
        "HOME", "PATH", "HOST", "PORT", "SECURE", "USER", "TMPDIR", "BASH_ENV", "ENV", "IFS",
        "LETTA_DIR", "LETTA_LOG_FOLDER", "LETTA_CONFIG_PATH", "LETTA_DISABLE_SQLALCHEMY_POOLING",
        "LETTA_AUTHORITIES", "LETTA_CLICKHOUSE_PASSWORD",
        "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "ENV_NAME", "FORWARDED_ALLOW_IPS",
    }
)  # fmt: skip
_RESERVED_PREFIXES = (
    "LETTA_PG_", "LETTA_REDIS_", "LETTA_SERVER_", "LETTA_ENCRYPTION_", "LETTA_OTEL_", "LETTA_UVICORN_",
    "LETTA_LOGGING_", "LETTA_CLICKHOUSE_", "CLICKHOUSE_", "SIGNOZ_", "DD_", "POSTGRES_", "REDIS_",
    "OTEL_EXPORTER_", "PYTHON", "LD_",
)  # fmt: skip

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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


def name_rule(name: str) -> str | None:
    """Return why users may not set a variable themselves, as the end of a sentence; None if they may."""
    if not _VARIABLE_NAME.fullmatch(name):
        return "is not a name for an environment variable (letters, digits and _, no digit first)"
    upper = name.upper()  # the server reads its settings without regard to case
    if upper in _SETTING_OF:
        return f"has a setting of its own: use letta:{_SETTING_OF[upper]}"
    if upper in _RESERVED or upper.startswith(_RESERVED_PREFIXES):
        return "is set by the platform and cannot be set here"
    return None


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable probably holds a secret."""
    return bool(_SECRET_LOOKING.search(name) or _CREDENTIALS_IN_URL.search(value))
