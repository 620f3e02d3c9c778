"""`collector install`: installs the collector's program, and says by which method."""

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
    """Refuse a version that no configuration can be composed for.

    Raises:
        OperationError: naming the versions that are supported.
    """
    if version not in otel.VERSIONS:
        raise OperationError(
            f"collector version {version!r} is not supported",
            where="--version, or LETTA_COLLECTOR_VERSION",
            fix=[f"one of: {', '.join(otel.VERSIONS)}"],
        )


def install(version: str, environ: Mapping[str, str]) -> Installation:
    """Install a version of the collector, unless it is there.

    Raises:
        OperationError: when the version is not supported.
        toolchain.errors.StepFailedError: when it cannot be installed, or this machine is not supported.
    """
    refuse_unknown(version)
    for known in otel.VULNERABILITIES[version]:
        terminal.say(f"warning: collector {version} is vulnerable: {known}")
    found = collector.ensure(Progress(terminal.say), detect(environ), environ, version=version)
    terminal.say(f"collector {version}: {found.program} ({INSTALL_METHODS[found.method]})")
    if found.method is InstallMethod.OFFICIAL and not CollectorVersion.parse(version).has(Feature.QUEUE_BATCH):
        terminal.say(
            f"warning: this release of {version} loses signals that {otel.DEFAULT_VERSION} left in the queue;"
            f" {collector.ROUTE_VARIABLE}={InstallMethod.GO} builds one that keeps them"
        )
    return found
