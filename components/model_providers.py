"""The environment variables by which Letta knows its model providers."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from settings import Settings

# Setting → variable that Letta reads.
_ADDRESSES: Mapping[str, str] = {
    "openai_base_url": "OPENAI_BASE_URL",
    "ollama_base_url": "OLLAMA_BASE_URL",
    "vllm_base_url": "VLLM_API_BASE",
    "azure_base_url": "AZURE_BASE_URL",
    "azure_api_version": "AZURE_API_VERSION",
    "gemini_base_url": "GEMINI_BASE_URL",
}
_KEYS: Mapping[str, str] = {
    "openai_api_key": "OPENAI_API_KEY",
    "anthropic_api_key": "ANTHROPIC_API_KEY",
    "azure_api_key": "AZURE_API_KEY",
    "gemini_api_key": "GEMINI_API_KEY",
    "groq_api_key": "GROQ_API_KEY",
}


def addresses(settings: Settings) -> dict[str, str]:
    """Give the variables that are no secrets, with whatever else the user set in `serverEnvironment`."""
    known = {variable: getattr(settings, name) for name, variable in _ADDRESSES.items()}
    return {**settings.server_environment, **{key: str(value) for key, value in known.items() if value}}


def keys(settings: Settings) -> dict[str, pulumi.Output[str]]:
    """Give the variables that are secrets, with whatever else the user set in `serverSecrets`."""
    known = {variable: getattr(settings, name) for name, variable in _KEYS.items()}
    return {
        variable: pulumi.Output.secret(value.get_secret_value())
        for variable, value in {**settings.server_secrets, **known}.items()
        if value
    }
