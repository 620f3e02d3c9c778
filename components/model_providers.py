"""The environment variables that configure the server's model providers."""

from __future__ import annotations

from collections.abc import Iterator

import pulumi
from pydantic import SecretStr

from settings import Settings
from settings.rules import PROVIDER_VARIABLES


def _given(settings: Settings) -> Iterator[tuple[str, str | SecretStr]]:
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        variable = PROVIDER_VARIABLES.get(str(field.alias))
        if variable and value:
            yield variable, value


def addresses(settings: Settings) -> dict[str, str]:
    """Return the variables that are no secrets, with whatever else the user set in `serverEnvironment`."""
    known = {variable: value for variable, value in _given(settings) if isinstance(value, str)}
    return {**settings.server_environment, **known}


def keys(settings: Settings) -> dict[str, pulumi.Output[str]]:
    """Return the variables that are secrets, with whatever else the user set in `serverSecrets`."""
    known = {variable: value for variable, value in _given(settings) if isinstance(value, SecretStr)}
    return {
        variable: pulumi.Output.secret(value.get_secret_value())
        for variable, value in {**settings.server_secrets, **known}.items()
    }
