"""Docker Compose v2: the machine's, or one that is built from its Go module into the toolchain's cache."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from toolchain import go_modules, locations, versions
from toolchain.cache import Entry, content_key
from toolchain.progress import Progress

SOURCE = Path(__file__).with_name("compose")
MODULE = "github.com/docker/compose/v2"


@dataclass(frozen=True, kw_only=True, slots=True)
class Compose:
    """The command of Compose, and its version."""

    command: tuple[str, ...]
    version: str


def find(progress: Progress) -> Compose:
    """Return Compose v2, built first when the machine has none.

    Raises:
        toolchain.errors.StepFailedError: when it cannot be built.
    """
    for command in (("docker", "compose"), ("docker-compose",)):
        version = _version(command)
        if version:
            return Compose(command=command, version=version)
    wanted = pinned((SOURCE / "go.mod").read_text())
    progress.say(f"this machine has no Docker Compose v2: using {wanted} from its Go module")
    files = [SOURCE / "go.mod", SOURCE / "go.sum"]
    key = content_key(["compose", platform.system(), platform.machine()], files, SOURCE)
    entry = Entry(locations.cache_home() / f"compose-{key}")
    if not entry.is_complete:
        with progress.step("building Docker Compose (once; takes a few minutes)"):
            entry.make(lambda folder: _build(folder, wanted, progress), progress)
    return Compose(command=(str(entry.folder / "docker-compose"),), version=wanted)


def pinned(go_mod: str) -> str:
    """Return the version that a go.mod requires, without `v`.

    Raises:
        ValueError: when it requires none.
    """
    found = re.search(rf"^(?:require )?\s*{re.escape(MODULE)} v(\S+)", go_mod, re.MULTILINE)
    if not found:
        raise ValueError(f"{MODULE} is not required")
    return found[1]


def _version(command: tuple[str, ...]) -> str:
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
    version = done.stdout.strip().removeprefix("v")
    # Compose v1, in Python, is another program.
    return version if done.returncode == 0 and re.match(r"[2-9]\.", version) else ""


def _build(folder: Path, version: str, progress: Progress) -> None:
    go = go_modules.find_go(progress, versions.read(), locations.cache_home(), os.environ)
    flags = f"-s -w -X {MODULE}/internal.Version={version}"
    progress.run(
        [
            *(go, "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", flags),
            *("-o", folder / "docker-compose", f"{MODULE}/cmd"),
        ],
        log="build-docker-compose",
        environment={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""},
        directory=SOURCE,
        fix=["run it again: it continues where it stopped", "or install Docker Compose v2 yourself"],
    )
