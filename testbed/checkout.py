"""Clean clones of this checkout, for tests that run the program or `make` in their own folder."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from toolchain.locations import ROOT


def clone(target: Path, *, origin: Path = ROOT) -> Path:
    """Copy the tracked and untracked files of a checkout, except ignored ones, to a new repository; return it."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=origin, stdout=subprocess.PIPE, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source = origin / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    subprocess.run(["git", "init", "-q"], cwd=target, check=True)
    subprocess.run(["git", "add", "-A"], cwd=target, check=True)
    identity = ["-c", "user.name=test", "-c", "user.email=test@letta-platform.invalid"]
    subprocess.run(["git", *identity, "commit", "-qm", "clone"], cwd=target, check=True)
    return target
