"""`collector install`: brings the collector's program, and says which way it came."""

from __future__ import annotations

from collections.abc import Mapping

import otel
from operations.console import terminal
from operations.console.errors import OperationError
from otel.versions import CollectorVersion, Feature
from toolchain import collector
from toolchain.collector import Installation
from toolchain.install_method import INSTALL_METHODS, InstallMethod
from toolchain.machine import detect
from toolchain.progress import Progress


def refuse_unknown(version: str) -> None:
    """Refuse a version that no configuration is composed for (OperationError)."""
    if version not in otel.VERSIONS:
        raise OperationError(
            f"no configuration is composed for collector {version!r}",
            where="--version, or LETTA_COLLECTOR_VERSION",
            fix=[f"one of: {', '.join(otel.VERSIONS)}"],
        )


def install(version: str, environ: Mapping[str, str]) -> Installation:
    """Bring the collector of a version, unless it is there.

    Raises:
        OperationError: when there is no such version here.
        toolchain.errors.StepFailedError: when it cannot be had, or is not for this machine.
    """
    refuse_unknown(version)
    for known in otel.VULNERABILITIES[version]:
        terminal.say(f"warning: collector {version} is vulnerable: {known}")
    found = collector.ensure(Progress(terminal.say), detect(environ), environ, version=version)
    terminal.say(f"collector {version}: {found.program} ({INSTALL_METHODS[found.method]})")
    if found.method is InstallMethod.OFFICIAL and not CollectorVersion.parse(version).has(Feature.QUEUE_BATCH):
        terminal.say(
            f"warning: this release of {version} loses what {otel.DEFAULT_VERSION} has left in a queue;"
            f" {collector.ROUTE_VARIABLE}={InstallMethod.GO} builds one that does not"
        )
    return found
