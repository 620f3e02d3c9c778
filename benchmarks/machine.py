"""A description of the machine, without which its numbers mean nothing."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker


def seen_on(engine: docker.DockerClient, root: Path) -> str:
    """Return a line that says when and where this is measured: date, revision, processors, memory, engine."""
    found: dict[str, Any] = engine.info()
    memory = found.get("MemTotal", 0) / 2**30
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}{_revision(root)}: {found.get('NCPU')} processors"
        f" ({platform.machine()}), {memory:.0f} GiB of memory, {found.get('OperatingSystem')},"
        f" Docker engine {found.get('ServerVersion')} ({found.get('Driver')})."
    )


def _revision(root: Path) -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return f" at revision {done.stdout.strip()}" if done.returncode == 0 else ""
