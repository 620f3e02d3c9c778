"""Reads a collector's options from environment variables: those of upstream's original start script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import otel
from operations.console.errors import OperationError
from operations.console.redaction import hide

SECRETS = {
    "CLICKHOUSE_PASSWORD": otel.CLICKHOUSE_PASSWORD,
    "SIGNOZ_INGESTION_KEY": otel.SIGNOZ_INGESTION_KEY,
    "DD_API_KEY": otel.DATADOG_API_KEY,
}
"""Variables with secrets → the files from which the collector reads them."""

_VARIABLES = (
    *("CLICKHOUSE_ENDPOINT", "CLICKHOUSE_USERNAME", "CLICKHOUSE_DATABASE", "SIGNOZ_ENDPOINT", "DD_SITE"),
    *("LETTA_ENVIRONMENT", "LETTA_DIR", "HOME", "GRAFANA_URL"),
)
_PAIRS = (
    ("CLICKHOUSE_ENDPOINT", "CLICKHOUSE_PASSWORD"),
    ("SIGNOZ_ENDPOINT", "SIGNOZ_INGESTION_KEY"),
    ("DD_SITE", "DD_API_KEY"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectorOptions:
    """What a collector records, and where it sends it."""

    choice: otel.Choice
    destinations: otel.Destinations
    secrets: Mapping[str, str] = field(repr=False)
    """Variable → value, also for variables that the profile does not use."""
    secret_files: Mapping[str, str] = field(repr=False)
    """Name → content of the secret files that the profile reads."""
    environment: str | None
    """The deployment environment that every signal names."""
    grafana_url: str | None
    """Without a trailing slash."""
    letta_folder: Path
    """Where a Letta server on this machine keeps its files."""


def read(environ: Mapping[str, str], *, version: str, profile: str | None, development: bool) -> CollectorOptions:
    """Read the variables, and hide the secrets among them; an empty one counts as not set.

    Raises:
        OperationError: when one is invalid; no message repeats a value.
    """
    values = {name: value for name in (*_VARIABLES, *SECRETS) if (value := _text(environ, name))}
    secrets = {name: values[name] for name in SECRETS if name in values}
    hide(secrets.values())
    for destination, secret in _PAIRS:
        if (destination in values) != (secret in values):
            there, missing = (destination, secret) if destination in values else (secret, destination)
            raise OperationError(f"{there} is set, but {missing} is not", fix=[f"set {missing}, or unset {there}"])
    destinations = _destinations(values)
    with _naming("--profile"):
        choice = otel.choose(profile=profile, development=development, destinations=destinations)
    files = {}
    for variable, file in SECRETS.items():
        if file in otel.secret_names(choice.profile):
            with _naming(variable):
                files[file] = otel.secret_file(secrets[variable], version=version)
    return CollectorOptions(
        choice=choice,
        destinations=destinations,
        secrets=secrets,
        secret_files=files,
        environment=values.get("LETTA_ENVIRONMENT"),
        grafana_url=_web_address(values.get("GRAFANA_URL")),
        letta_folder=Path(
            values.get("LETTA_DIR") or Path(values.get("HOME") or Path.home()) / ".letta"
        ).absolute(),
    )


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for child processes."""
    return {name: value for name, value in environ.items() if name not in SECRETS}


def _text(environ: Mapping[str, str], name: str) -> str | None:
    value = environ.get(name)
    if value and not value.isprintable() and name not in SECRETS:
        raise OperationError(f"{name} has characters that cannot be printed", fix=[f"set {name} to another value"])
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise OperationError(f"{name} is not UTF-8", fix=[f"set {name} to another value"]) from None
    return value or None


def _destinations(values: Mapping[str, str]) -> otel.Destinations:
    clickhouse, datadog, signoz = None, None, None
    if "CLICKHOUSE_ENDPOINT" in values:
        optional = {"username": "CLICKHOUSE_USERNAME", "database": "CLICKHOUSE_DATABASE"}
        given = {key: values[name] for key, name in optional.items() if name in values}
        with _naming(", ".join(name for name in values if name in {"CLICKHOUSE_ENDPOINT", *optional.values()})):
            clickhouse = otel.ClickHouse(endpoint=values["CLICKHOUSE_ENDPOINT"], **given)
    if "DD_SITE" in values:
        with _naming("DD_SITE"):
            datadog = otel.Datadog(site=values["DD_SITE"])
    if "SIGNOZ_ENDPOINT" in values:
        with _naming("SIGNOZ_ENDPOINT"):
            signoz = otel.SigNoz(endpoint=values["SIGNOZ_ENDPOINT"])
    return otel.Destinations(clickhouse=clickhouse, datadog=datadog, signoz=signoz)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Name the variable or option that a configuration error comes from."""
    try:
        yield
    except otel.ConfigurationError as error:
        raise OperationError(str(error), where=where) from None


def _web_address(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        invalid = parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0
    except ValueError:
        invalid = True
    if invalid or "@" in parts.netloc or parts.query or parts.fragment:
        raise OperationError(
            "Grafana's address must start with http:// or https://, without user, password, query or fragment",
            where="GRAFANA_URL",
        )
    return url.rstrip("/")
