"""The collector's secrets: their names, references to them in a configuration, and the content of their files.

A value reaches the collector only as a file, so it is in no environment, command line or configuration. The
collector does not use the content unchanged: it expands `$` in it, and old versions parse it as YAML first.
"""

from __future__ import annotations

import json

from otel.config_context import Reference
from otel.errors import ConfigurationError
from otel.listen_layout import ListenLayout
from otel.profiles import Profile
from otel.versions import DEFAULT_VERSION, CollectorVersion, Feature

CLICKHOUSE_PASSWORD = "clickhouse-password"  # noqa: S105 - a file's name
DATADOG_API_KEY = "datadog-api-key"
SIGNOZ_INGESTION_KEY = "signoz-ingestion-key"
OTLP_TOKEN = "otlp-token"  # noqa: S105 - a file's name

_OF_EXPORTER = {
    "clickhouse": CLICKHOUSE_PASSWORD,
    "datadog": DATADOG_API_KEY,
    "otlp/signoz": SIGNOZ_INGESTION_KEY,
}


def secret_names(profile: Profile, *, token: bool = False) -> tuple[str, ...]:
    """Return the names of the secret files that `profile` reads from `ListenLayout.secrets_directory`.

    `token` as in `ReceiverSecurity`.
    """
    exporters = [exporter for pipeline in profile.pipelines for exporter in pipeline.exporters]
    names = dict.fromkeys(_OF_EXPORTER[name] for name in exporters if name in _OF_EXPORTER)
    return (*names, OTLP_TOKEN) if token else tuple(names)


def reference(name: str, layout: ListenLayout) -> Reference:
    """Return the text that refers to the secret in a configuration."""
    return Reference(f"${{file:{layout.secrets_directory}/{name}}}")


def secret_file(value: str, *, version: str = DEFAULT_VERSION) -> str:
    """Return the content of a file from which a collector of `version` reads exactly `value`.

    Raises:
        ConfigurationError: when the value is empty or not one line; the message never contains it.
    """
    if not value:
        raise ConfigurationError("a secret must not be empty")
    if any(character in value for character in "\n\r\0"):
        # In a header or a password it would fail without a message.
        raise ConfigurationError("a secret must be one line, without line breaks and NUL")
    if CollectorVersion.parse(version).has(Feature.VERBATIM_SECRETS):
        return value.replace("$", "$$")
    # Quoted, because YAML would read 0123 as a number and ` #x` as a comment. A `$` as `${$}`, because a doubled
    # one before `{` would still start a reference.
    return json.dumps(value.replace("$", "${$}"), ensure_ascii=False)
