"""Pulumi and its plugins: which way they come, and where they lie then."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain import locations, versions
from toolchain.cache import Entry, content_key
from toolchain.install_method import InstallMethod, routes, take
from toolchain.machine import Machine
from toolchain.progress import Progress
from toolchain.versions import Versions

ROUTE_VARIABLE = "LETTA_PULUMI_ROUTE"
_BUILT_FROM = (".go", ".mod", ".sum")


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """Pulumi as one of the ways brings it."""

    route: InstallMethod
    entry: Entry

    @property
    def programs(self) -> Path:
        """Folder for the PATH."""
        return self.entry.folder / "bin"

    @property
    def home(self) -> Path | None:
        """Folder with the plugins; None where they lie in the user's own Pulumi home."""
        return self.entry.folder / "home" if self.route is InstallMethod.GO else None


def installation(route: InstallMethod, environ: Mapping[str, str] = os.environ) -> Installation:
    """Give the place of an installation, there or not; another content of the sources is another place."""
    base = versions.FOLDER
    parts = [route, platform.system(), platform.machine()]
    files = [versions.FILE]
    if route is InstallMethod.GO:
        files += [path for path in (base / "go").rglob("*") if path.suffix in _BUILT_FROM and path.is_file()]
    key = content_key(parts, files, base)
    return Installation(route=route, entry=Entry(locations.cache_home(environ) / f"toolchain-{key}"))


def installed(environ: Mapping[str, str] = os.environ) -> Installation | None:
    """Give the installation that is there and whole; None when there is none."""
    for route in routes(ROUTE_VARIABLE, environ):
        found = installation(route, environ)
        if found.entry.is_complete:
            return found
    return None


def ensure(
    progress: Progress,
    machine: Machine,
    environ: Mapping[str, str],
    *,
    wanted: Versions | None = None,
    thorough: bool = False,
) -> Installation:
    """Bring Pulumi unless it is there, and give where it is.

    Raises:
        StepFailedError: when it can be had neither way.
    """
    for route in routes(ROUTE_VARIABLE, environ):
        found = installation(route, environ)
        damage = found.entry.damage(thorough=thorough)
        if damage is None:
            return found
        if found.entry.folder.exists():
            progress.say(f"{found.entry.folder} is damaged: {damage}")
    wanted = wanted or versions.read()
    with progress.step(f"Pulumi {wanted.pulumi} with its plugins"):
        return _bring(progress, machine, environ, wanted, thorough=thorough)


def _bring(
    progress: Progress, machine: Machine, environ: Mapping[str, str], wanted: Versions, *, thorough: bool
) -> Installation:
    # Here and not at the top, because every shell asks this module where Pulumi is, and few have to bring it.
    from toolchain import go_modules, official

    def download() -> Installation:
        found = installation(InstallMethod.OFFICIAL, environ)
        release = official.find_release(wanted.pulumi, machine, environ)
        progress.say(f"way: official release, because {release.url.rpartition('/')[0]} can be reached")
        found.entry.make(
            lambda folder: official.install(progress, wanted, release, folder, environ),
            progress,
            thorough=thorough,
        )
        return found

    def build() -> Installation:
        found = installation(InstallMethod.GO, environ)
        progress.say("way: built from Go modules (once; 10 minutes on two processors, less with more)")
        cache = locations.cache_home(environ)
        go = go_modules.find_go(progress, wanted, cache, environ)
        found.entry.make(
            lambda folder: go_modules.build(progress, wanted, go, folder, environ, cache=cache),
            progress,
            thorough=thorough,
        )
        return found

    return take(progress, ROUTE_VARIABLE, environ, official=download, go=build)
