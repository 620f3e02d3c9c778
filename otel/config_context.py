"""What a configuration is made for: version, size, destinations. Every fragment gets the same Situation."""

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
    """Text that the collector itself is to expand (`${file:/run/secrets/…}`), and so is rendered as it is."""

    __slots__ = ()


class Redaction(StrEnum):
    """What is taken out of traces and logs before they leave the collector."""

    NOTHING = "nothing"
    KEYS = "keys"
    """Values that look like credentials, and attributes whose names say that they are."""
    CONTENT = "content"
    """Also what people and models wrote: request bodies, arguments of methods, arguments and results of tools."""


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
                "ClickHouse's database must be letters, digits and _, not starting with a digit"
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
    """SigNoz' OTLP endpoint (`https://host:443`); its ingestion key is the secret `otel.SIGNOZ_INGESTION_KEY`."""

    endpoint: str

    def __post_init__(self) -> None:
        _address(self.endpoint, "SigNoz", {"http": 4317, "https": 443})

    @property
    def address(self) -> str:
        """Host and port, as gRPC wants them."""
        _, host, port = _address(self.endpoint, "SigNoz", {"http": 4317, "https": 443})
        return f"{host}:{port}"

    @property
    def plain(self) -> bool:
        """Whether the connection is without TLS."""
        return urlsplit(self.endpoint).scheme == "http"


@dataclass(frozen=True, kw_only=True, slots=True)
class Destinations:
    """Where signals go, apart from files. None of it is secret: keys and passwords come from files."""

    clickhouse: ClickHouse | None = None
    datadog: Datadog | None = None
    signoz: SigNoz | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueBudget:
    """How much is kept on disk while a backend does not answer.

    For spans, rate x size x time; logs and metrics get a quarter of that each, because a server makes far fewer
    of them. Each exporter has a queue for each of its signals. `disk_bytes` is the budget of one collector's
    queue volume; what the queues may hold, with what their files add to it, must fit.
    """

    spans_per_second: int = 1_000
    span_bytes: int = 1_000
    outage_seconds: int = 15 * 60
    disk_bytes: int = 4_000_000_000

    def __post_init__(self) -> None:
        for name in ("spans_per_second", "span_bytes", "outage_seconds", "disk_bytes"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"a backlog's {name} must be at least 1")

    def queue_bytes(self, signal: str) -> int:
        """What one exporter's queue for `signal` may hold."""
        spans = self.spans_per_second * self.span_bytes * self.outage_seconds
        return spans if signal == "traces" else max(1, spans // 4)

    def needed_bytes(self, queues: tuple[str, ...]) -> int:
        """The disk that full queues for these signals (one for each exporter) take, with their files' overhead."""
        return sum(self.queue_bytes(signal) for signal in queues) * 14 // 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiverSecurity:
    """What clients must do to be heard."""

    tls: bool = False
    """All of them speak TLS; the certificate is in the place's folder of certificates."""
    token: bool = False
    """Those from outside, who have receivers of their own, show the secret `otel.OTLP_TOKEN`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigContext:
    """What a fragment may depend on."""

    profile: Profile
    version: CollectorVersion
    level: str
    memory_mib: int
    """The container's memory limit."""
    destinations: Destinations = field(default_factory=Destinations)
    environment: str | None = None
    """Name of the environment on every signal; none leaves what the senders say."""
    device_id: str | None = None
    """Stable id of the stack on every signal; senders' own change with their containers."""
    redaction: Redaction = Redaction.KEYS
    queue_budget: QueueBudget = field(default_factory=QueueBudget)
    log_directories: tuple[str, ...] = ("*",)
    """Folders below `layout.log_directory` that this collector reads, one for each server replica."""
    layout: ListenLayout = CONTAINER
    receiver_security: ReceiverSecurity = field(default_factory=ReceiverSecurity)


def _address(endpoint: str, what: str, ports: dict[str, int]) -> tuple[str, str, int]:
    """Take an endpoint apart; nothing but scheme, host and port is allowed. Give the port that is meant.

    What is refused is not repeated: a password may have come into it.
    """
    schemes = " or ".join(f"{scheme}://" for scheme in ports)
    try:
        parts = urlsplit(endpoint)
        hostname, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"{what}'s endpoint is not an address") from None
    if parts.scheme not in ports or not re.fullmatch(r"[A-Za-z0-9._:-]+", hostname):
        raise ConfigurationError(f"{what}'s endpoint must start with {schemes} and name a host")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(f"{what}'s endpoint must be scheme, host and port, without path and password")
    host = f"[{hostname}]" if ":" in hostname else hostname
    return parts.scheme, host, port or ports[parts.scheme]
