"""What a configuration depends on: version, size, destinations. Every component gets the same ConfigContext."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from otel.errors import ConfigurationError
from otel.listen_layout import CONTAINER, ListenLayout
from otel.profiles import Profile
from otel.versions import CollectorVersion

Component = dict[str, Any]


class Reference(str):
    """Text that the collector itself expands (`${file:/run/secrets/…}`), so it is rendered unchanged."""

    __slots__ = ()


class Redaction(StrEnum):
    """What is removed from traces and logs before they leave the collector."""

    NOTHING = "nothing"
    KEYS = "keys"
    """Values that look like credentials, and attributes with names of credentials."""
    CONTENT = "content"
    """Also what users and models wrote: request bodies, method arguments, arguments and results of tools."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClickHouse:
    """Where ClickHouse is (`http://host:8123`); its password is the secret `otel.CLICKHOUSE_PASSWORD`."""

    endpoint: str
    database: str = "otel"
    username: str = "default"

    def __post_init__(self) -> None:
        _address(self.endpoint, "ClickHouse", {"http": 8123, "https": 8443})
        # Version 0.96 writes it into its statements without quotes.
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.database):
            raise ConfigurationError(
                "ClickHouse's database must consist of letters, digits and _, and not start with a digit"
            )
        if not self.username:
            raise ConfigurationError("ClickHouse's username must not be empty")

    @property
    def address(self) -> str:
        """The endpoint with its port."""
        scheme, host, port = _address(self.endpoint, "ClickHouse", {"http": 8123, "https": 8443})
        return f"{scheme}://{host}:{port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Datadog:
    """Which Datadog (`datadoghq.com`, `datadoghq.eu`, …); its API key is the secret `otel.DATADOG_API_KEY`."""

    site: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", self.site):
            raise ConfigurationError("Datadog's site must be a name like datadoghq.com")


@dataclass(frozen=True, kw_only=True, slots=True)
class SigNoz:
    """SigNoz's OTLP endpoint (`https://host:443`); its ingestion key is the secret `otel.SIGNOZ_INGESTION_KEY`."""

    endpoint: str

    def __post_init__(self) -> None:
        _address(self.endpoint, "SigNoz", {"http": 4317, "https": 443})

    @property
    def address(self) -> str:
        """Host and port, the form that gRPC expects."""
        _, host, port = _address(self.endpoint, "SigNoz", {"http": 4317, "https": 443})
        return f"{host}:{port}"

    @property
    def plain(self) -> bool:
        """Whether the connection is without TLS."""
        return urlsplit(self.endpoint).scheme == "http"


@dataclass(frozen=True, kw_only=True, slots=True)
class Destinations:
    """Where signals are sent, apart from files. Not secret: keys and passwords are read from files."""

    clickhouse: ClickHouse | None = None
    datadog: Datadog | None = None
    signoz: SigNoz | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueBudget:
    """How much is kept on disk while a backend does not answer.

    For spans, rate x size x time; for logs and metrics a quarter of that each, because a server sends far fewer of
    them. Each exporter has a queue for each of its signals. `disk_bytes` is the size of one collector's queue
    volume; full queues, with the overhead of their files, must fit into it.
    """

    spans_per_second: int = 1_000
    span_bytes: int = 1_000
    outage_seconds: int = 15 * 60
    disk_bytes: int = 4_000_000_000

    def __post_init__(self) -> None:
        for name in ("spans_per_second", "span_bytes", "outage_seconds", "disk_bytes"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"a queue budget's {name} must be at least 1")

    def queue_bytes(self, signal: str) -> int:
        """Return the size of one exporter's queue for `signal`."""
        spans = self.spans_per_second * self.span_bytes * self.outage_seconds
        return spans if signal == "traces" else max(1, spans // 4)

    def needed_bytes(self, queues: tuple[str, ...]) -> int:
        """Return the disk space of full queues for these signals, one per exporter, with their files' overhead."""
        return sum(self.queue_bytes(signal) for signal in queues) * 14 // 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiverSecurity:
    """What receivers require of clients."""

    tls: bool = False
    """TLS, of all clients; the certificate is in `ListenLayout.certificates_directory`."""
    token: bool = False
    """The secret `otel.OTLP_TOKEN`, of outside clients, which have receivers of their own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigContext:
    """What the configuration of a component may depend on."""

    profile: Profile
    version: CollectorVersion
    level: str
    memory_mib: int
    """The container's memory limit."""
    destinations: Destinations = field(default_factory=Destinations)
    environment: str | None = None
    """Name of the environment, set on every signal; None keeps what senders set."""
    device_id: str | None = None
    """Stable id of the stack, set on every signal; the ids that senders set change with their containers."""
    redaction: Redaction = Redaction.KEYS
    queue_budget: QueueBudget = field(default_factory=QueueBudget)
    log_directories: tuple[str, ...] = ("*",)
    """Folders below `layout.log_directory` that this collector reads, one for each server replica."""
    layout: ListenLayout = CONTAINER
    receiver_security: ReceiverSecurity = field(default_factory=ReceiverSecurity)


def _address(endpoint: str, what: str, ports: dict[str, int]) -> tuple[str, str, int]:
    """Return scheme, host and port of an endpoint, which must not contain anything else; `ports` has the defaults.

    Errors do not repeat the endpoint: it may contain a password.
    """
    schemes = " or ".join(f"{scheme}://" for scheme in ports)
    try:
        parts = urlsplit(endpoint)
        hostname, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"{what}'s endpoint is not a URL") from None
    if parts.scheme not in ports or not re.fullmatch(r"[A-Za-z0-9._:-]+", hostname):
        raise ConfigurationError(f"{what}'s endpoint must start with {schemes} and name a host")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(
            f"{what}'s endpoint must consist of scheme, host and port, without path and password"
        )
    host = f"[{hostname}]" if ":" in hostname else hostname
    return parts.scheme, host, port or ports[parts.scheme]
