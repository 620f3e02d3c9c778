"""Runs the collector of `images/collector` as a process on this machine, without Docker.

    with Collector(program(), configuration, folder=folder, environment={…}) as collector:
        ...
        collector.kill()       # as `kill -9` does; `start` continues with what is in its queue's folder

The configuration needs the extension `health_check` at the address `health`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import tenacity
import yaml

import otel
from testbed.ports import reserved
from toolchain import collector
from toolchain.install_method import InstallMethod
from toolchain.machine import detect
from toolchain.progress import Progress

LONGEST_START = 30.0
LONGEST_STOP = 60.0


def program(version: str = otel.DEFAULT_VERSION) -> Path:
    """Return the collector's program as `collector install` builds it: minutes once, then from the cache.

    It is built, and not the official release, so that tests run what the images have.
    """
    chosen = {**os.environ, collector.ROUTE_VARIABLE: InstallMethod.GO}
    return collector.ensure(Progress(), detect(os.environ), chosen, version=version).program


@contextmanager
def layout(folder: Path) -> Iterator[otel.ListenLayout]:
    """Yield a layout with free ports of this machine, and folders below `folder`, which it creates."""
    with reserved(4) as (grpc, http, health, metrics):
        found = otel.ListenLayout(
            address="127.0.0.1",
            grpc_port=grpc,
            http_port=http,
            health_port=health,
            metrics_port=metrics,
            data_directory=str(folder / "data"),
            secrets_directory=str(folder / "secrets"),
            log_directory=str(folder / "logs"),
        )
        for made in (found.queue_directory, found.secrets_directory, found.log_directory):
            Path(made).mkdir(parents=True)
        yield found


class Collector:
    """One collector. `folder` is for its configuration and log, `health` is the URL of its health check."""

    def __init__(
        self,
        program: Path,
        configuration: Mapping[str, Any],
        *,
        folder: Path,
        health: str,
        environment: Mapping[str, str] | None = None,
        version: str = otel.DEFAULT_VERSION,
    ) -> None:
        self.log = folder / "collector.log"
        self._file = folder / "collector.yaml"
        self._file.write_text(yaml.safe_dump(dict(configuration), sort_keys=False))
        self._command = [
            str(program),
            "--config",
            str(self._file),
            *otel.CollectorVersion.parse(version).arguments,
        ]
        self._health = health
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it is up. Raises RuntimeError with the end of its log when it exits first."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it without waiting."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Wait until it is up; raises the same errors as `start`."""
        if self._process is None:
            raise RuntimeError("the collector was not started")
        try:
            self._wait(self._process)
        except BaseException:
            self.kill()
            raise

    @property
    def process_id(self) -> int:
        """The process's id."""
        if self._process is None:
            raise RuntimeError("the collector was not started")
        return self._process.pid

    def stop(self) -> int | None:
        """End it as Docker does (SIGTERM), and return its exit code; None when it was not running."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        try:
            return process.wait(LONGEST_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type((httpx.TransportError, httpx.HTTPStatusError)),
        stop=tenacity.stop_after_delay(LONGEST_START),
        wait=tenacity.wait_fixed(0.05),
        reraise=True,
    )
    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            last = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
            raise RuntimeError(f"the collector exited with code {process.returncode}:\n{last}")
        httpx.get(self._health, timeout=1.0).raise_for_status()
