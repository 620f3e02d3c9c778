"""The environment variables by which Letta knows its model providers."""

from __future__ import annotations

import pulumi
from pydantic import SecretStr

from settings import Settings
from settings.server_environment import provider_values


def addresses(settings: Settings) -> dict[str, str]:
    """Return the variables that are no secrets, with whatever else the user set in `serverEnvironment`."""
    known = {variable: value for variable, value in provider_values(settings) if isinstance(value, str)}
    return {**settings.server_environment, **known}


def keys(settings: Settings) -> dict[str, pulumi.Output[str]]:
    """Return the variables that are secrets, with whatever else the user set in `serverSecrets`."""
    known = {variable: value for variable, value in provider_values(settings) if isinstance(value, SecretStr)}
    return {
        variable: pulumi.Output.secret(value.get_secret_value())
        for variable, value in {**settings.server_secrets, **known}.items()
    }
