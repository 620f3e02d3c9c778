"""Refreshes what is pinned: the Python locks, and the date that makes images resolve Debian packages again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from operations.console.errors import OperationError

PYTHON_VERSION = "3.11"
REFRESHED = Path("images") / "refreshed"
SOURCE = "pyproject.toml"
LOCK, DEV_LOCK = "requirements.lock", "requirements-dev.lock"
# The versions of what is deployed are the same in both locks.
_LOCKED: Mapping[str, tuple[str, ...]] = {LOCK: (), DEV_LOCK: ("--group", "dev", "--constraints", LOCK)}


def compile_command(target: str, *, upgrade: bool) -> list[str]:
    """Return the command that writes one lock: with hashes, and without addresses, which differ by machine."""
    return [
        str(Path(sys.executable).parent / "uv"),
        *("pip", "compile", "--quiet", "--universal", "--python-version", PYTHON_VERSION, "--generate-hashes"),
        *("--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate"),
        *(["--upgrade"] if upgrade else []),
        *_LOCKED[target],
        *("--output-file", target, SOURCE),
    ]


def lock(root: Path, environment: Mapping[str, str], *, upgrade: bool) -> tuple[str, ...]:
    """Compile the locks; versions stay unless they must change, or `upgrade` is given.

    Returns:
        The files that changed.

    Raises:
        OperationError: when there is no solution.
    """
    changed = []
    for name in _LOCKED:
        path = root / name
        before = path.read_bytes() if path.exists() else b""
        command = compile_command(name, upgrade=upgrade)
        done = subprocess.run(
            command, cwd=root, env=dict(environment), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OperationError(
                f"uv found no set of versions for {name}:\n{done.stderr.strip()}",
                where=str(root / SOURCE),
                fix=["fix the requirement that it names"],
            )
        if path.read_bytes() != before:
            changed.append(path.name)
    return tuple(changed)


def refresh_packages(root: Path, today: date) -> Path:
    """Write a date, after which the next `up` builds images with the newest Debian packages; return the file."""
    path = root / REFRESHED
    path.write_text(f"{today.isoformat()}\n", encoding="utf-8")
    return path
