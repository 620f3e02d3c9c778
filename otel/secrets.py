"""Secrets of the collector: their names, how a configuration refers to them, and how their files are written.

A value reaches the collector only as a file, so that it is in no environment, command line or configuration. The
collector does not take such a file as it is: it expands `$` in it, and old versions read it as YAML first.
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
    """Names of the secret files that `profile` reads, in the place's folder of secrets.

    `token` as in `ReceiverSecurity`.
    """
    exporters = [exporter for pipeline in profile.pipelines for exporter in pipeline.exporters]
    names = dict.fromkeys(_OF_EXPORTER[name] for name in exporters if name in _OF_EXPORTER)
    return (*names, OTLP_TOKEN) if token else tuple(names)


def reference(name: str, layout: ListenLayout) -> Reference:
    """Text that stands for the secret in a configuration."""
    return Reference(f"${{file:{layout.secrets_directory}/{name}}}")


def secret_file(value: str, *, version: str = DEFAULT_VERSION) -> str:
    """Give the content of a file from which a collector of `version` reads exactly `value`.

    The message of an error never holds the value.
    """
    if not value:
        raise ConfigurationError("a secret must not be empty")
    if any(character in value for character in "\n\r\0"):
        # In a header or a password it fails silently.
        raise ConfigurationError("a secret must be one line: it holds a line break or a NUL")
    if CollectorVersion.parse(version).has(Feature.VERBATIM_SECRETS):
        return value.replace("$", "$$")
    # Quoted, because YAML would make a number of 0123 and a comment of ` #x`. A `$` as `${$}`, because a doubled
    # one before `{` would still start a reference.
    return json.dumps(value.replace("$", "${$}"), ensure_ascii=False)
