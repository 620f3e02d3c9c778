"""The backends of a profile: each can be taken down, and counts how often it has each number of a run.

ClickHouse is the real engine with the tables of `otel.clickhouse`; Datadog a stand-in that decodes what it
receives, reached by Datadog's own host names; SigNoz a second collector with TLS that checks the key; files are
read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self

import otel
from otel.clickhouse import statements
from testbed.certificates import Authority
from testbed.clickhouse import rows as clickhouse_rows
from testbed.clickhouse.server import ClickHouse, Fault
from testbed.collector import Collector, program
from testbed.connect_proxy import ConnectProxy
from testbed.datadog.records import Log, Point, Record, Span
from testbed.datadog.server import Datadog
from testbed.otlp.items import RUN, SEQUENCE, Signal
from testbed.ports import reserved

SITE = "datadoghq.eu"
INTAKES = ("otlp", "api", "trace.agent", "http-intake.logs")
"""Datadog's host names below the site: for OTLP, and for its own exporter."""


class Backend(Protocol):
    """What a rig needs of a backend. `secrets` has values by the names of `otel.secret_names`."""

    name: str
    secrets: dict[str, str]

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables for a collector that sends there."""

    def away(self) -> AbstractContextManager[None]:
        """Refuse connections until the end of the context."""

    def stored(self, run: str, signal: Signal) -> Counter[int]:
        """Return how often it has each number."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class InClickHouse:
    """ClickHouse, with the tables that a deployment creates."""

    name = "ClickHouse"
    environment: Mapping[str, str] = MappingProxyType({})

    def __init__(self, folder: Path) -> None:
        self.secrets = {otel.CLICKHOUSE_PASSWORD: "first pa$$word"}
        self.server = ClickHouse(folder / "clickhouse", password=self.secrets[otel.CLICKHOUSE_PASSWORD])

    def __enter__(self) -> Self:
        self.server.__enter__()
        for statement in statements(self.destination, retention_days=30):
            self.server.ask(statement)
        return self

    def __exit__(self, *error: Any) -> None:
        self.server.__exit__(*error)

    @property
    def destination(self) -> otel.ClickHouse:
        """The destination in the configuration."""
        return otel.ClickHouse(endpoint=self.server.url())

    def away(self) -> AbstractContextManager[None]:
        """Refuse connections until the end of the context."""
        return self.server.failing(Fault.REFUSES)

    def stored(self, run: str, signal: Signal) -> Counter[int]:
        """Return how often each number is in the signal's table."""
        return clickhouse_rows.stored(self.server, run, signal)


class InDatadog:
    """Datadog's intakes, by their own host names."""

    name = "Datadog"
    destination = otel.Datadog(site=SITE)

    def __init__(self, authority: Authority) -> None:
        self.secrets = {otel.DATADOG_API_KEY: "0123456789abcdef"}
        names = [f"{intake}.{SITE}" for intake in INTAKES]
        self.server = Datadog(api_key=self.secrets[otel.DATADOG_API_KEY], certificate=authority.issue(*names))
        self._proxy = ConnectProxy(dict.fromkeys(names, self.server.port))
        self._authority = authority
        self._read = 0
        self._counted: dict[tuple[str, Signal], Counter[int]] = {}

    def __enter__(self) -> Self:
        self.server.__enter__()
        self._proxy.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._proxy.__exit__(*error)
        self.server.__exit__(*error)

    @property
    def environment(self) -> Mapping[str, str]:
        """The proxy that connects Datadog's host names to the stand-in, and its certificate authority."""
        return {"HTTPS_PROXY": self._proxy.url, "NO_PROXY": "", "SSL_CERT_FILE": str(self._authority.certificate)}

    def away(self) -> AbstractContextManager[None]:
        """Refuse connections until the end of the context."""
        return self.server.away()

    def stored(self, run: str, signal: Signal) -> Counter[int]:
        """Return how often each number was delivered."""
        new = self.server.deliveries[self._read :]
        self._read += len(new)
        for delivery in new:
            for record in delivery.records:
                of, tags = _tags(record)
                if of is not None and SEQUENCE in tags:
                    counted = self._counted.setdefault((tags[RUN], of), Counter())
                    counted[int(tags[SEQUENCE])] += 1
        return self._counted.get((run, signal), Counter())


def _tags(record: Record) -> tuple[Signal | None, Mapping[str, Any]]:
    match record:
        case Span():
            return Signal.TRACES, record.tags
        case Log():
            return Signal.LOGS, record.attributes
        case Point():
            return Signal.METRICS, dict(tag.split(":", 1) for tag in record.tags if ":" in tag)
        case _:
            return None, {}


class InFiles:
    """What the file exporter wrote to `folder`; it cannot be taken down."""

    name = "files"
    environment: Mapping[str, str] = MappingProxyType({})

    def __init__(self, folder: Path) -> None:
        self.secrets: dict[str, str] = {}
        self._folder = folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the files where they are."""

    def away(self) -> AbstractContextManager[None]:
        """Raise NotImplementedError."""
        raise NotImplementedError("files cannot be taken down")

    def stored(self, run: str, signal: Signal) -> Counter[int]:
        """Return how often each number is in the signal's files; lines that are not JSON are skipped."""
        counted: Counter[int] = Counter()
        for path in self._folder.glob(f"{signal}*.json"):
            for line in path.read_bytes().splitlines():
                try:
                    batch = json.loads(line)
                except ValueError:
                    continue
                counted.update(number for of, number in _numbers(batch) if of == run)
        return counted


def _numbers(batch: Any) -> Iterator[tuple[str, int]]:
    """Yield run and number of each numbered item in OTLP's JSON, at any depth."""
    if isinstance(batch, list):
        for one in batch:
            yield from _numbers(one)
    elif isinstance(batch, dict):
        values = {item.get("key"): item.get("value", {}) for item in batch.get("attributes", ())}
        if SEQUENCE in values:
            yield str(values[RUN]["stringValue"]), int(next(iter(values[SEQUENCE].values())))
        else:
            for one in batch.values():
                yield from _numbers(one)


class InSigNoz(InFiles):
    """A second collector: it receives OTLP over gRPC with TLS, accepts one key only, and writes files.

    `host` is the address that it listens on.
    """

    name = "SigNoz"

    def __init__(self, folder: Path, authority: Authority, *, host: str = "127.0.0.1") -> None:
        self._host = host
        self._home = folder / "signoz"
        self._home.mkdir()
        super().__init__(self._home)
        self.secrets = {otel.SIGNOZ_INGESTION_KEY: "0123$x #y"}
        self.environment = {"SSL_CERT_FILE": str(authority.certificate)}
        self._certificate = authority.issue(host)
        self._held = reserved(2)
        self._ports: tuple[int, ...] = ()
        self._collector: Collector | None = None

    def __enter__(self) -> Self:
        self._ports = self._held.__enter__()
        self._collector = Collector(
            program(),
            self._configuration(),
            folder=self._home,
            health=f"http://127.0.0.1:{self._ports[1]}",
        )
        self._collector.start()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._collector is not None:
            self._collector.stop()
        self._held.__exit__(*error)

    @property
    def destination(self) -> otel.SigNoz:
        """The destination in the configuration."""
        return otel.SigNoz(endpoint=f"https://{self._host}:{self._ports[0]}")

    def received(self, signal: Signal) -> str:
        """Return what it received, as OTLP in JSON, one batch per line; the last line may be unfinished."""
        written = self._home / f"{signal}.json"
        return written.read_text() if written.exists() else ""

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stop it in order, and start it again; it has written everything that it acknowledged."""
        if self._collector is None:
            raise RuntimeError("it is not running")
        self._collector.stop()
        try:
            yield
        finally:
            self._collector.start()

    def _configuration(self) -> dict[str, Any]:
        key = self.secrets[otel.SIGNOZ_INGESTION_KEY].replace("$", "$$")
        server = {
            "endpoint": f"{self._host}:{self._ports[0]}",
            "max_recv_msg_size_mib": 16,
            "tls": {"cert_file": str(self._certificate.certificate), "key_file": str(self._certificate.key)},
            "auth": {"authenticator": "bearertokenauth"},
        }
        exporters = {
            f"file/{signal}": {"path": f"{self._home}/{signal}.json", "append": True} for signal in Signal
        }
        return {
            "extensions": {
                "health_check": {"endpoint": f"127.0.0.1:{self._ports[1]}"},
                "bearertokenauth": {"header": "signoz-ingestion-key", "scheme": "", "token": key},
            },
            "receivers": {"otlp": {"protocols": {"grpc": server}}},
            "exporters": exporters,
            "service": {
                "extensions": ["health_check", "bearertokenauth"],
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {
                    str(signal): {"receivers": ["otlp"], "exporters": [f"file/{signal}"]} for signal in Signal
                },
            },
        }
