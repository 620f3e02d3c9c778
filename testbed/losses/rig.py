"""A collector with a profile's own configuration, between a counted sender and the profile's backends.

with Rig(otel.PROFILES["clickhouse"], folder=folder) as rig:
    rig.begin()                    # start the collector and send
    with rig.away():               # the backends are down
        rig.keep_sending(seconds=120)
    accounts = rig.settle()        # until everything is stored, or nothing changes any more
"""

from __future__ import annotations

import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import httpx
import yaml

import otel
from testbed.certificates import Authority
from testbed.collector import Collector, layout, program
from testbed.losses.accounts import Account
from testbed.losses.backends import Backend, InClickHouse, InDatadog, InFiles, InSigNoz
from testbed.losses.log_lines import LINES
from testbed.losses.sender import Sender
from testbed.otlp.generator import Generator
from testbed.otlp.items import Signal
from testbed.small_disk import small_disk

MEMORY_MIB = 512
LONGEST_STANDSTILL = 60.0
"""Seconds without a newly stored signal after which no more is expected: longer than any retry interval."""
REPLICA = "replica-1"

Change = Callable[[dict[str, Any]], None]
"""Changes a composed configuration in place."""


class Settings(TypedDict, total=False):
    """Arguments of `otel.compose` that a rig passes on."""

    environment: str
    level: str
    redaction: otel.Redaction
    queue_budget: otel.QueueBudget | None


def in_memory(config: dict[str, Any]) -> None:
    """Keep the queues in memory and not on disk: the control, which loses signals."""
    for exporter in config["exporters"].values():
        exporter.get("sending_queue", {}).pop("storage", None)


class Rig:
    """The collector, its sender and its backends. `folder` must be empty.

    `change` is applied to the composed configuration. `disk` puts the queues' folder on a file system of so many
    bytes, which only root can create.
    """

    def __init__(
        self,
        profile: otel.Profile,
        *,
        folder: Path,
        version: str = otel.DEFAULT_VERSION,
        change: Change | None = None,
        disk: int | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        self.profile, self.version, self.folder = profile, version, folder
        self._change, self._disk, self._settings = change, disk, settings
        self._held = ExitStack()
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
            run = f"run {secrets.token_hex(4)}"
            generator = Generator(f"127.0.0.1:{self.layout.grpc_port}", run=run)
            self.sender = Sender(self._held.enter_context(generator), run=run)
            self._held = self._held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    @property
    def collector(self) -> Collector:
        """The collector that runs now, or ran last."""
        if self._collector is None:
            raise RuntimeError("it was never started")
        return self._collector

    @property
    def clickhouse(self) -> InClickHouse:
        """The ClickHouse backend."""
        found = self.backends["ClickHouse"]
        assert isinstance(found, InClickHouse)
        return found

    @contextmanager
    def away(self, *names: str) -> Iterator[None]:
        """Make these backends (by default all) refuse connections until the end of the context."""
        with ExitStack() as away:
            for name in names or self.backends:
                away.enter_context(self.backends[name].away())
            yield

    # -- sending ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the collector and the sender, and wait until some of each signal is acknowledged."""
        self.start()
        self.sender.start(Signal(pipeline.signal) for pipeline in self.profile.pipelines)
        if any("filelog/letta" in pipeline.receivers for pipeline in self.profile.pipelines):
            self.sender.write_lines(self._lines_file)
        self.keep_sending()

    def keep_sending(self, seconds: float = 1.0) -> None:
        """Wait until as many more signals are acknowledged as are sent in so many seconds."""
        self.sender.wait(seconds)

    def refused(self) -> int:
        """Return how many requests so far were not acknowledged."""
        return self.sender.refused()

    # -- the collector ------------------------------------------------------------------------------------

    def start(self, *, version: str | None = None, **settings: Unpack[Settings]) -> None:
        """Start the collector, with another version or other settings from now on."""
        self.launch(version=version, **settings)
        self.collector.wait()

    def launch(self, *, version: str | None = None, **settings: Unpack[Settings]) -> None:
        """Start the collector without waiting until it is up."""
        self.version = version or self.version
        self._settings |= settings
        for name, value in self.secrets.items():
            text = otel.secret_file(value, version=self.version)
            Path(self.layout.secrets_directory, name).write_text(text)
        environment = {"GOMEMLIMIT": otel.go_memory_limit(MEMORY_MIB)}
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

    def restart(self, *, version: str | None = None, **settings: Unpack[Settings]) -> None:
        """Stop the collector in order (SIGTERM), and start it."""
        self.collector.stop()
        self.start(version=version, **settings)

    def kill_and_start(self) -> None:
        """Kill the collector (SIGKILL), and start it."""
        self.collector.kill()
        self.start()

    # -- accounts -----------------------------------------------------------------------------------------

    def accounts(self, *names: str) -> tuple[Account, ...]:
        """Compare what was sent with what these backends (by default all) have now."""
        return tuple(
            Account.of(name, sent, self.backends[name].stored(sent.run, sent.signal))
            for name in names or self.backends
            for sent in self.sender.sent
            if self._receives(name, sent.signal)
        )

    def wait_stored(self, backend: str) -> None:
        """Wait until a backend has everything that was acknowledged; TimeoutError after two minutes."""
        end = time.monotonic() + 120
        while missing := [one for one in self.accounts(backend) if one.lost]:
            if time.monotonic() > end:
                raise TimeoutError(f"not stored in time: {missing}")
            time.sleep(0.2)

    def settle(self) -> tuple[Account, ...]:
        """Stop sending, wait until everything is stored or nothing changes, stop the collector.

        Returns the final accounts.
        """
        self.sender.finish(now=True)
        changed, before = time.monotonic(), self.accounts()
        while time.monotonic() - changed < LONGEST_STANDSTILL:
            lost, queued = {one.what for one in before if one.lost}, self._queued()
            # What is queued may be stored a second time. Lines that were not read yet are in their file, which no
            # metric shows.
            if (queued == 0 and LINES not in lost) or (queued is None and not lost):
                break
            time.sleep(0.5)
            now = self.accounts()
            if now != before:
                changed, before = time.monotonic(), now
        self._end()
        return self.accounts()

    def _queued(self) -> float | None:
        """Return the bytes in the queues by the collector's metrics; None if these omit what is being sent."""
        if self.version != otel.DEFAULT_VERSION:
            return None
        with suppress(httpx.TransportError):
            metrics = httpx.get(f"http://127.0.0.1:{self.layout.metrics_port}/metrics").text
            found = re.findall(r"^otelcol_exporter_queue_size\{.*\} (\S+)$", metrics, re.MULTILINE)
            if found:
                return sum(map(float, found))
        return None

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

    def _receives(self, backend: str, signal: Signal) -> bool:
        exporters = {"ClickHouse": "clickhouse", "Datadog": "datadog", "SigNoz": "otlp/signoz", "files": "file/"}
        return any(
            pipeline.signal == signal and any(name.startswith(exporters[backend]) for name in pipeline.exporters)
            for pipeline in self.profile.pipelines
        )

    def _configuration(self) -> dict[str, Any]:
        to = {name: getattr(backend, "destination", None) for name, backend in self.backends.items()}
        composed = otel.compose(
            self.profile,
            version=self.version,
            memory_mib=MEMORY_MIB,
            log_directories=(REPLICA,),
            destinations=otel.Destinations(
                clickhouse=to.get("ClickHouse"), datadog=to.get("Datadog"), signoz=to.get("SigNoz")
            ),
            layout=self.layout,
            **self._settings,
        )
        config: dict[str, Any] = yaml.safe_load(otel.render(composed))
        if self._change is not None:
            self._change(config)
        return config

    def _end(self) -> None:
        # The old version does not always end by itself (docs/telemetry.md); then `stop` has killed it.
        with suppress(subprocess.TimeoutExpired):
            if self._collector is not None:
                self._collector.stop()
