"""The OpenTelemetry collector as a program of this machine: official release, or built from locked modules.

The release is the contrib distribution, which has everything that our own build has. Our build is what the images
have, without the rest of contrib.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain import go_modules, locations, versions
from toolchain.cache import Entry, content_key
from toolchain.errors import StepFailedError
from toolchain.install_method import InstallMethod, UnavailableError, allowed_methods, install_with_fallback
from toolchain.machine import Machine
from toolchain.progress import Progress
from toolchain.releases import Release, find, unpack
from toolchain.versions import Binary

SOURCES = locations.ROOT / "images" / "collector" / "distribution"
URL = "https://github.com/open-telemetry/opentelemetry-collector-releases/releases/download"
URL_VARIABLE = "LETTA_COLLECTOR_RELEASES_URL"
ROUTE_VARIABLE = "LETTA_COLLECTOR_ROUTE"
_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# Python's names for Windows, natively and in POSIX environments such as Cygwin and MSYS.
_WINDOWS = ("windows", "cygwin", "msys", "mingw")
_BUILT_FROM = (".go", ".mod", ".sum")
_TEST = "_test.go"
_PUBLISHED = "otelcol-contrib"
_CHECKSUMS = f"opentelemetry-collector-releases_{_PUBLISHED}_checksums.txt"
_PROGRAM = "otelcol"
_LONGEST_ANSWER = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """A collector as one of the methods installs it."""

    version: str
    method: InstallMethod
    entry: Entry

    @property
    def program(self) -> Path:
        """The collector itself."""
        return self.entry.folder / _PROGRAM


def installation(
    version: str, method: InstallMethod, machine: Machine, environ: Mapping[str, str]
) -> Installation:
    """Return where a collector is or would be; it is complete only if it reports this version."""
    source = SOURCES / version
    files = _built_from(source) if method is InstallMethod.GO else []
    key = content_key([version, method, machine.system, machine.architecture], files, source)
    entry = Entry(
        locations.cache_home(environ) / f"collector-{version}-{key}",
        check=lambda folder: _another_version(folder / _PROGRAM, version),
    )
    return Installation(version=version, method=method, entry=entry)


def ensure(progress: Progress, machine: Machine, environ: Mapping[str, str], *, version: str) -> Installation:
    """Install the collector of a version unless it is there, and return where it is.

    Raises:
        StepFailedError: when neither method can install it, or it is not for this machine.
    """
    if machine.system.lower().startswith(_WINDOWS):
        raise StepFailedError(
            "the collector does not run on Windows: it protects its secrets with file modes and is stopped by"
            " signals, which Windows does not have",
            fix=["install the Windows Subsystem for Linux (`wsl --install`), and run this in it"],
        )
    for method in allowed_methods(ROUTE_VARIABLE, environ):
        found = installation(version, method, machine, environ)
        damage = found.entry.damage()
        if damage is None:
            return found
        if found.entry.folder.exists():
            progress.say(f"{found.entry.folder} is damaged: {damage}")

    def download() -> Installation:
        found = installation(version, InstallMethod.OFFICIAL, machine, environ)
        release = find_release(version, machine, environ)
        progress.say(f"install method: official release, because {release.url.rpartition('/')[0]} is reachable")
        progress.say("its checksum is the one that its publisher lists")
        found.entry.make(lambda folder: _unpack(progress, release, folder), progress)
        return found

    def build() -> Installation:
        found = installation(version, InstallMethod.GO, machine, environ)
        progress.say(
            "install method: built from Go modules (once; takes minutes if nothing of it was compiled before)"
        )
        found.entry.make(lambda folder: _build(progress, version, folder, environ), progress)
        return found

    with progress.step(f"OpenTelemetry collector {version}"):
        return install_with_fallback(progress, ROUTE_VARIABLE, environ, official=download, go=build)


def find_release(version: str, machine: Machine, environ: Mapping[str, str]) -> Release:
    """Ask for the release, which also shows whether its host can be reached at all.

    Raises:
        UnavailableError: when there is none for this machine, or it cannot be reached.
    """
    system, architecture = _SYSTEMS.get(machine.system), _ARCHITECTURES.get(machine.architecture)
    if not system or not architecture:
        raise UnavailableError(f"no release is known for {machine.system} on {machine.architecture}")
    return find(
        f"{_PUBLISHED}_{version}_{system}_{architecture}.tar.gz",
        f"{environ.get(URL_VARIABLE) or URL}/v{version}/{_CHECKSUMS}",
    )


def reported_version(program: Path) -> str | None:
    """Return the version that a collector reports; None when it cannot be run, or reports none."""
    try:
        done = subprocess.run(
            [program, "--version"],
            # It needs none, and is to see no secret.
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST_ANSWER,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bversion v?(\d+\.\d+\.\d+)\b", done.stdout)
    return found[1] if found and not done.returncode else None


def _built_from(source: Path) -> list[Path]:
    files = (path for path in source.rglob("*") if path.suffix in _BUILT_FROM)
    return [path for path in files if not path.name.endswith(_TEST)]


def _another_version(program: Path, version: str) -> str | None:
    found = reported_version(program)
    return None if found == version else f"its program is of version {found or 'unknown'}, not {version}"


def _unpack(progress: Progress, release: Release, folder: Path) -> None:
    unpack(progress, release, folder, lambda path: str(path) == _PUBLISHED)
    published = folder / _PUBLISHED
    if not published.is_file():
        raise StepFailedError(f"no program `{_PUBLISHED}` in {release.url}")
    published.rename(folder / _PROGRAM)


def _build(progress: Progress, version: str, folder: Path, environ: Mapping[str, str]) -> None:
    cache = locations.cache_home(environ)
    go = go_modules.find_go(progress, versions.read(), cache, environ)
    binary = Binary(
        output=_PROGRAM,
        source=SOURCES / version,
        package=".",
        ldflags=f"-s -w -X main.version={version}",
    )
    environment = {**go_modules.build_environment(go, environ, cache=cache), "CGO_ENABLED": "0"}
    with progress.step(f"building {_PROGRAM} {version}"):
        go_modules.build_one(progress, binary, go, folder / _PROGRAM, environment)
