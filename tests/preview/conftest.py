"""A clone of this checkout, and the real Pulumi CLI in it with a state folder of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from testbed.checkout import clone
from toolchain.environment import shell_environment
from toolchain.locations import ROOT

Pulumi = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone that uses this checkout's Python environment."""
    target = clone(tmp_path_factory.mktemp("clone"))
    (target / ".venv").symlink_to(ROOT / ".venv")
    return target


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables of the CLI."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
    own = {**kept, "XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))}
    return {**own, **shell_environment(own)}


@pytest.fixture(scope="module")
def pulumi(checkout: Path, environment: Mapping[str, str]) -> Pulumi:
    """Return a function that runs `pulumi` in the clone."""
    return command(checkout, environment)


def command(checkout: Path, environment: Mapping[str, str]) -> Pulumi:
    """Return a function that runs `pulumi` in a checkout; what it prints on either stream is in `stdout`."""

    def run(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=checkout,
            env=dict(environment),
            input=given or "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )

    return run
