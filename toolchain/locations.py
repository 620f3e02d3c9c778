"""Where files are kept: the checkout, the cache (may be deleted), and the state (must not be)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""
VENV = ROOT / ".venv"
NAME = "letta-platform"


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def cache_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for what can be created again."""
    if environ.get("LETTA_CACHE_HOME"):
        return Path(environ["LETTA_CACHE_HOME"]).absolute()
    return _xdg(environ, "XDG_CACHE_HOME", ".cache") / NAME


def state_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the embedded state: backend, passphrase, logs."""
    return _xdg(environ, "XDG_STATE_HOME", ".local/state") / NAME


def logs(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for the output of the programs that are run."""
    return state_home(environ) / "logs"


def _xdg(environ: Mapping[str, str], variable: str, otherwise: str) -> Path:
    given = environ.get(variable, "")
    # The XDG specification says that a relative path is to be ignored.
    return Path(given) if given.startswith("/") else _home(environ) / otherwise


def private_folder(path: Path) -> Path:
    """Create a folder that only its owner can read, whatever the umask; an existing one stays as it is."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    return path
