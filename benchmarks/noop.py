"""What an update without changes costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from benchmarks import processes
from benchmarks.platform import Platform
from benchmarks.report import Table
from benchmarks.samples import Samples, against

PULUMI_TARGET = "<= 1.5x"
MAKE_TARGET = "<= 3x"
EMPTY, BARE, OURS, MAKE = "`pulumi up`, empty program", "`pulumi up`, bare resources", "`pulumi up`", "`make up`"
_UP = ("up", "--yes", "--skip-preview")
_BARE = """import pulumi_random

for number in range({number}):
    pulumi_random.RandomUuid(f"bare-{{number}}")
"""


def measure(platform: Platform, rounds: int) -> list[Table]:
    """Run the four commands in turn."""
    stack = platform.up()
    resources = len(json.loads(stack.pulumi("stack", "export").output)["deployment"]["resources"])
    empty, at_empty = _program(platform, "empty", "")
    # As many resources as ours, none of which needs an engine: what Pulumi itself needs for so many.
    bare, at_bare = _program(platform, "bare", _BARE.format(number=resources))

    def pulumi(name: str) -> list[str]:
        return ["pulumi", *_UP, "--stack", name]

    runs: dict[str, Callable[[], float]] = {
        EMPTY: lambda: processes.timed(pulumi("empty"), directory=empty, environment=at_empty),
        BARE: lambda: processes.timed(pulumi("bare"), directory=bare, environment=at_bare),
        OURS: lambda: processes.timed(pulumi(stack.stack), directory=stack.root, environment=platform.shell),
        MAKE: lambda: processes.timed(
            ["make", "up", f"STACK={stack.stack}"], directory=stack.root, environment=stack.environment
        ),
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    # The first round is not counted: the other programs create their resources in it.
    for number in range(rounds + 1):
        with platform.progress.step(f"no-op updates, round {number} of {rounds}"):
            for name, run in runs.items():
                seconds = run()
                platform.progress.say(f"{name}: {seconds:.1f} s")
                if number:
                    taken[name].append(seconds)
    samples = {name: Samples.of(values) for name, values in taken.items()}
    return [
        Table(
            title="Updates without a change",
            columns=("command", "seconds", "min-max", "ratio", "target"),
            rows=(
                (EMPTY, *samples[EMPTY].shown(2), "", ""),
                (BARE, *samples[BARE].shown(2), *against(samples[BARE], samples[EMPTY], "")),
                (OURS, *samples[OURS].shown(2), *against(samples[OURS], samples[EMPTY], PULUMI_TARGET)),
                (MAKE, *samples[MAKE].shown(2), *against(samples[MAKE], samples[OURS], MAKE_TARGET)),
            ),
            notes=(
                f"{rounds} interleaved rounds with the same tools and Python environment (with bytecode) and file"
                " backends.",
                "`pulumi up` is compared with the empty program, `make up` with `pulumi up`.",
                f"Bare resources: {resources} random UUIDs, as many as the platform has resources.",
            ),
        )
    ]


def _program(platform: Platform, name: str, text: str) -> tuple[Path, dict[str, str]]:
    """Create a Pulumi program with this text and its own backend; return its folder and environment."""
    folder, backend = platform.folder / name, platform.folder / f"{name}-backend"
    environment = {**platform.shell, "PULUMI_BACKEND_URL": backend.as_uri()}
    if not folder.exists():
        backend.mkdir(mode=0o700)
        folder.mkdir()
        (folder / "Pulumi.yaml").write_text(
            f"name: {name}\nruntime:\n  name: python\n  options:\n    virtualenv: .venv\n"
        )
        (folder / "__main__.py").write_text(text)
        (folder / ".venv").symlink_to(platform.stack.root / ".venv")
        processes.timed(["pulumi", "stack", "init", name], directory=folder, environment=environment)
    return folder, environment
