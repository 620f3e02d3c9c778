"""A collector with a profile's own configuration, between a counted sender and the profile's backends.

with Rig(otel.PROFILES["clickhouse"], folder=folder) as rig:
    rig.begin()                    # collector and flows
    with rig.away():               # something goes wrong
        rig.go_on(seconds=120)
    accounts = rig.settle()        # until everything is stored, or nothing moves any more
"""

from __future__ import annotations

import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

import otel
from testbed.certificates import Authority
from testbed.collector import Collector, layout, program
from testbed.losses.accounts import Account, Sent
from testbed.losses.backends import Backend, InClickHouse, InDatadog, InFiles, InSigNoz
from testbed.losses.log_lines import LINES, LogLines
from testbed.otlp.generator import LONGEST_FLOW, Flow, Generator
from testbed.otlp.items import Signal
from testbed.small_disk import small_disk

RATES: Mapping[Signal, int] = {Signal.TRACES: 1000, Signal.METRICS: 250, Signal.LOGS: 250}
"""Signals a second, as `otel.QueueBudget` expects them: a quarter as many metrics and logs as spans."""
LINES_RATE = 100
REQUESTS_RATE = 10
"""Requests a second of each flow."""
PADDING = 600
"""Characters that bring a span to about a thousand bytes."""
MEMORY_MIB = 512
LONGEST_STILLSTAND = 60.0
"""Seconds without any signal stored after which none is expected: longer than the longest wait between retries."""
REPLICA = "replica-1"


def in_memory(config: dict[str, Any]) -> None:
    """Take the queues from disk: the control, which loses."""
    for exporter in config["exporters"].values():
        exporter.get("sending_queue", {}).pop("storage", None)


class Rig:
    """All of it; the folder is for files of this rig alone.

    `change` is applied to the configuration that was composed, `composed` goes to `otel.compose`. `disk` gives the
    folder of the queues a file system of its own with so many bytes (which only root can make).
    """

    def __init__(
        self,
        profile: otel.Profile,
        *,
        folder: Path,
        version: str = otel.DEFAULT_VERSION,
        change: Callable[[dict[str, Any]], None] | None = None,
        disk: int | None = None,
        **composed: Any,
    ) -> None:
        self.profile, self.version, self.folder = profile, version, folder
        self.run = f"run {secrets.token_hex(4)}"
        self._change, self._disk = change, disk
        self._composed = {"memory_mib": MEMORY_MIB, "log_directories": (REPLICA,), **composed}
        self._held = ExitStack()
        self._flows: dict[Signal, Flow] = {}
        self._lines: LogLines | None = None
        self._sent: tuple[Sent, ...] = ()
        self.backends: dict[str, Backend] = {}
        self.secrets: dict[str, str] = {}
        self._collector: Collector | None = None

    def __enter__(self) -> Self:
        with self._held:
            self.layout = self._held.enter_context(layout(self.folder))
            self.queues = Path(self.layout.queue_directory)
            self._lines_file = Path(self.layout.log_directory, REPLICA, "Letta.log")
            self._lines_file.parent.mkdir()
            if self._disk is not None:
                self._held.enter_context(small_disk(self.queues, self._disk))
            for backend in self._made():
                self._held.enter_context(backend)
                self.backends[backend.name] = backend
                self.secrets |= backend.secrets
            self._held.callback(self._end)
            self._generator = self._held.enter_context(
                Generator(f"127.0.0.1:{self.layout.grpc_port}", run=self.run)
            )
            self._held = self._held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    # -- what stories do ----------------------------------------------------------------------------------

    @property
    def collector(self) -> Collector:
        """The collector that runs now, or ran last."""
        if self._collector is None:
            raise RuntimeError("it was never started")
        return self._collector

    @property
    def clickhouse(self) -> InClickHouse:
        """The backend of that name."""
        found = self.backends["ClickHouse"]
        assert isinstance(found, InClickHouse)
        return found

    def begin(self) -> None:
        """Start the collector and the flows, and wait until some of each signal is acknowledged."""
        self.start()
        for signal in self._signals():
            self.send(signal, count=RATES[signal] * int(LONGEST_FLOW), rate=RATES[signal])
        if any("filelog/letta" in pipeline.receivers for pipeline in self.profile.pipelines):
            self._lines = LogLines(self._lines_file, run=f"{self.run} lines", rate=LINES_RATE)
        self.go_on()

    def send(self, signal: Signal, *, count: int, rate: int) -> None:
        """Start a flow of so many signals, so many a second."""
        self._flows[signal] = self._generator.start(
            signal, count=count, rate=rate, seconds=LONGEST_FLOW, batch=rate // REQUESTS_RATE, padding=PADDING
        )

    def go_on(self, seconds: float = 1.0) -> None:
        """Wait until what makes up so many seconds of each signal is acknowledged on top of what is now."""
        wanted = {
            signal: len(flow.report().acknowledged) + int(RATES[signal] * seconds)
            for signal, flow in self._flows.items()
        }
        for signal, acknowledged in wanted.items():
            self._flows[signal].wait_for(acknowledged, seconds=2 * seconds + 60)

    def refused(self) -> int:
        """How many requests were answered otherwise than with an acknowledgement so far."""
        return sum(_tries_again(flow.report().answers) for flow in self._flows.values())

    @contextmanager
    def away(self, *names: str) -> Iterator[None]:
        """Let these backends (all, if none is named) refuse connections within."""
        with ExitStack() as away:
            for name in names or self.backends:
                away.enter_context(self.backends[name].away())
            yield

    def start(self, **composed: Any) -> None:
        """Start the collector, with other arguments of `otel.compose` from now on."""
        self.launch(**composed)
        self.collector.wait()

    def launch(self, **composed: Any) -> None:
        """Start the collector without waiting until it is up."""
        self.version = composed.pop("version", self.version)
        self._composed |= composed
        for name, value in self.secrets.items():
            text = otel.secret_file(value, version=self.version)
            Path(self.layout.secrets_directory, name).write_text(text)
        environment = {"GOMEMLIMIT": otel.go_memory_limit(self._composed["memory_mib"])}
        for backend in self.backends.values():
            environment |= backend.environment
        self._collector = Collector(
            program(self.version),
            self._configuration(),
            folder=self.folder,
            health=f"http://127.0.0.1:{self.layout.health_port}",
            environment=environment,
            version=self.version,
        )
        self._collector.launch()

    def restart(self, **composed: Any) -> None:
        """End the collector in order, and start it."""
        self.collector.stop()
        self.start(**composed)

    def finish(self, *, now: bool = True) -> None:
        """Send no more, or (`now` False) only what is left of each flow's count."""
        for flow in self._flows.values() if now else ():
            flow.stop()
        if not self._sent:
            lines = [self._lines.finish()] if self._lines else []
            self._sent = (*(self._account(signal) for signal in self._flows), *lines)

    def wait_stored(self, backend: str, *, seconds: float = 120.0) -> None:
        """Wait until a backend has everything that was acknowledged; TimeoutError after `seconds`."""
        end = time.monotonic() + seconds
        while missing := [one for one in self.accounts(backend) if one.lost]:
            if time.monotonic() > end:
                raise TimeoutError(f"not stored within {seconds:g} s: {missing}")
            time.sleep(0.2)

    def accounts(self, *names: str) -> tuple[Account, ...]:
        """Compare what was sent with what these backends (all, if none is named) have now."""
        return tuple(
            Account.of(name, sent, self.backends[name].stored(sent.run, sent.signal))
            for name in names or self.backends
            for sent in self._sent
            if self._goes(sent.signal, name)
        )

    def settle(self) -> tuple[Account, ...]:
        """Send no more, wait until all is stored or nothing moves, end the collector, and give the accounts."""
        self.finish()
        moved, before = time.monotonic(), self.accounts()
        while time.monotonic() - moved < LONGEST_STILLSTAND:
            lost, waiting = {one.what for one in before if one.lost}, self.waiting()
            # What waits may be stored a second time. Lines that were not read yet wait in their file, of which no
            # metric tells.
            if (waiting == 0 and LINES not in lost) or (waiting is None and not lost):
                break
            time.sleep(0.5)
            now = self.accounts()
            if now != before:
                moved, before = time.monotonic(), now
        self._end()
        return self.accounts()

    def waiting(self) -> float | None:
        """Bytes in the queues by the collector's own word; None if it does not say what it is just sending."""
        if self.version != otel.DEFAULT_VERSION:
            return None
        with suppress(httpx.TransportError):
            said = httpx.get(f"http://127.0.0.1:{self.layout.metrics_port}/metrics").text
            found = re.findall(r"^otelcol_exporter_queue_size\{.*\} (\S+)$", said, re.MULTILINE)
            if found:
                return sum(map(float, found))
        return None

    # -- how ----------------------------------------------------------------------------------------------

    def _made(self) -> Iterator[Backend]:
        authority = Authority(self.folder)
        exporters = [exporter for pipeline in self.profile.pipelines for exporter in pipeline.exporters]
        if "clickhouse" in exporters:
            yield InClickHouse(self.folder)
        if "datadog" in exporters:
            yield InDatadog(authority)
        if "otlp/signoz" in exporters:
            yield InSigNoz(self.folder, authority)
        if any(name.startswith("file/") for name in exporters):
            yield InFiles(Path(self.layout.data_directory))

    def _goes(self, signal: Signal, backend: str) -> bool:
        parts = {"ClickHouse": "clickhouse", "Datadog": "datadog", "SigNoz": "otlp/signoz", "files": "file/"}
        return any(
            pipeline.signal == signal and any(name.startswith(parts[backend]) for name in pipeline.exporters)
            for pipeline in self.profile.pipelines
        )

    def _signals(self) -> tuple[Signal, ...]:
        return tuple(Signal(pipeline.signal) for pipeline in self.profile.pipelines)

    def _configuration(self) -> dict[str, Any]:
        to = {name: getattr(backend, "destination", None) for name, backend in self.backends.items()}
        composed = otel.compose(
            self.profile,
            version=self.version,
            destinations=otel.Destinations(
                clickhouse=to.get("ClickHouse"), datadog=to.get("Datadog"), signoz=to.get("SigNoz")
            ),
            layout=self.layout,
            **self._composed,
        )
        config: dict[str, Any] = yaml.safe_load(otel.render(composed))
        if self._change is not None:
            self._change(config)
        return config

    def _account(self, signal: Signal) -> Sent:
        report = self._flows[signal].finish()
        return Sent(
            what=str(signal),
            run=self.run,
            signal=signal,
            numbers=report.acknowledged | report.given_up | report.rejected,
            acknowledged=report.acknowledged,
            tries_again=_tries_again(report.answers),
        )

    def _end(self) -> None:
        # The old version does not always end by itself (docs/telemetry.md); `stop` has killed it then.
        with suppress(subprocess.TimeoutExpired):
            if self._collector is not None:
                self._collector.stop()


def _tries_again(answers: Mapping[str, int]) -> int:
    return sum(times for answer, times in answers.items() if answer != "OK")
