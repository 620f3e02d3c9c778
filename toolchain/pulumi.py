"""Pulumi and its plugins: how they are installed, and where."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain import locations, versions
from toolchain.cache import Entry, content_key
from toolchain.install_method import InstallMethod, allowed_methods, install_with_fallback
from toolchain.machine import Machine
from toolchain.progress import Progress
from toolchain.versions import Versions

ROUTE_VARIABLE = "LETTA_PULUMI_ROUTE"
_BUILT_FROM = (".go", ".mod", ".sum")


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """Pulumi as one install method leaves it."""

    method: InstallMethod
    entry: Entry

    @property
    def programs(self) -> Path:
        """Folder for the PATH."""
        return self.entry.folder / "bin"

    @property
    def home(self) -> Path | None:
        """Folder with the plugins; None where they are in the user's own Pulumi home."""
        return self.entry.folder / "home" if self.method is InstallMethod.GO else None


def installation(method: InstallMethod, environ: Mapping[str, str] = os.environ) -> Installation:
    """Return an installation, whether or not it exists; changed sources mean another folder."""
    base = versions.FOLDER
    parts = [method, platform.system(), platform.machine()]
    # Byte for byte: an edited comment in this file makes every machine build Pulumi again.
    files = [versions.FILE]
    if method is InstallMethod.GO:
        files += [path for path in (base / "go").rglob("*") if path.suffix in _BUILT_FROM and path.is_file()]
    key = content_key(parts, files, base)
    return Installation(method=method, entry=Entry(locations.cache_home(environ) / f"toolchain-{key}"))


def installed(environ: Mapping[str, str] = os.environ) -> Installation | None:
    """Return the installation that exists and is intact; None when there is none."""
    for method in allowed_methods(ROUTE_VARIABLE, environ):
        found = installation(method, environ)
        if found.entry.is_complete:
            return found
    return None


def ensure(progress: Progress, machine: Machine, environ: Mapping[str, str]) -> Installation:
    """Install Pulumi unless an intact installation exists, and return the installation.

    Raises:
        StepFailedError: when no install method works.
    """
    for method in allowed_methods(ROUTE_VARIABLE, environ):
        found = installation(method, environ)
        damage = found.entry.damage()
        if damage is None:
            return found
        if found.entry.folder.exists():
            progress.say(f"{found.entry.folder} is damaged: {damage}")
    wanted = versions.read()
    with progress.step(f"Pulumi {wanted.pulumi} with its plugins"):
        return _install(progress, machine, environ, wanted)


def _install(progress: Progress, machine: Machine, environ: Mapping[str, str], wanted: Versions) -> Installation:
    # Imported here because every shell asks this module where Pulumi is, and few have to install it.
    from toolchain import go_modules, official

    def download() -> Installation:
        found = installation(InstallMethod.OFFICIAL, environ)
        release = official.find_release(wanted.pulumi, machine, environ)
        progress.say(f"install method: official release, because {release.url.rpartition('/')[0]} is reachable")
        found.entry.make(lambda folder: official.install(progress, wanted, release, folder, environ), progress)
        return found

    def build() -> Installation:
        found = installation(InstallMethod.GO, environ)
        progress.say("install method: built from Go modules (once; 10 minutes on two processors, less with more)")
        cache = locations.cache_home(environ)
        go = go_modules.find_go(progress, wanted, cache, environ)
        found.entry.make(
            lambda folder: go_modules.build(progress, wanted, go, folder, environ, cache=cache), progress
        )
        return found

    return install_with_fallback(progress, ROUTE_VARIABLE, environ, official=download, go=build)
