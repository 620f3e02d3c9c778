"""Checks and tests the Go of `images/collector`, with the compiler that the toolchain finds or installs.

The flags are those with which the collector is built, so that what is compiled for one is in Go's cache for the
other. The modules in `toolchain/go` are only checked for their layout: compiling them takes minutes on machines
that have downloaded the toolchain, and on others `make toolchain` compiles them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from toolchain import go_modules, locations, versions
from toolchain.errors import StepFailedError
from toolchain.progress import Progress

COLLECTOR = locations.ROOT / "images" / "collector"
FOLDERS = (COLLECTOR, versions.FOLDER / "go")
_FLAGS = ("-trimpath", "-mod=readonly")
# Tests would be vetted again, with other checks, which needs an analysis of everything that they import.
_VERBS = (("vet",), ("test", "-vet=off"))


def run(progress: Progress, environ: Mapping[str, str]) -> None:
    """Run gofmt on all Go sources, and vet and test each module of the collector.

    Raises:
        StepFailedError: when a file is not formatted, or vet or a test fails.
    """
    cache = locations.cache_home(environ)
    go = go_modules.find_go(progress, versions.read(), cache, environ)
    environment = {**go_modules.build_environment(go, environ, cache=cache), "CGO_ENABLED": "0"}
    _check_format(go, environment)
    for module in modules():
        name = module.relative_to(locations.ROOT).as_posix()
        for verb, *options in _VERBS:
            with progress.step(f"go {verb} {name}"):
                progress.run(
                    [go, verb, *options, *_FLAGS, "./..."],
                    log=f"go-{verb}",
                    environment=environment,
                    directory=module,
                )


def modules() -> list[Path]:
    """Return the folders of the collector's modules."""
    return sorted(path.parent for path in COLLECTOR.rglob("go.mod"))


def _check_format(go: Path, environment: Mapping[str, str]) -> None:
    root = _output([go, "env", "GOROOT"], environment).strip()
    if unformatted := _output([Path(root, "bin", "gofmt"), "-l", *FOLDERS], environment).split():
        raise StepFailedError(
            f"not formatted: {', '.join(unformatted)}", fix=[f"{root}/bin/gofmt -w {' '.join(unformatted)}"]
        )


def _output(command: list[str | Path], environment: Mapping[str, str]) -> str:
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailedError(f"`{command[0]}` ended with {done.returncode}", tail=done.stderr.splitlines())
    return done.stdout
