"""What it costs to ask for what is there already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import processes
from benchmarks.platform import Platform
from benchmarks.report import Table
from benchmarks.samples import Samples, against

PULUMI_TARGET = "<= 1.5x"
MAKE_TARGET = "<= 3x"
EMPTY, OURS, MAKE = "`pulumi up`, empty program", "`pulumi up`", "`make up`"
_UP = ("up", "--yes", "--skip-preview")


def measure(platform: Platform, rounds: int) -> list[Table]:
    """Run the three in turn."""
    stack = platform.up()
    empty, environment = _empty_program(platform)

    def pulumi(name: str) -> list[str]:
        return ["pulumi", *_UP, "--stack", name]

    runs: dict[str, Callable[[], float]] = {
        EMPTY: lambda: processes.timed(pulumi("empty"), directory=empty, environment=environment),
        OURS: lambda: processes.timed(pulumi(stack.stack), directory=stack.root, environment=platform.shell),
        MAKE: lambda: processes.timed(
            ["make", "up", f"STACK={stack.stack}"], directory=stack.root, environment=stack.environment
        ),
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    # The first round is not counted: the first run of the empty program creates its stack resource.
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
                (OURS, *samples[OURS].shown(2), *against(samples[OURS], samples[EMPTY], PULUMI_TARGET)),
                (MAKE, *samples[MAKE].shown(2), *against(samples[MAKE], samples[OURS], MAKE_TARGET)),
            ),
            notes=(
                f"{rounds} interleaved rounds, same tools and Python environment (with bytecode), file backends.",
                "The ratio of `pulumi up` is to the empty program, that of `make up` to `pulumi up`.",
            ),
        )
    ]


def _empty_program(platform: Platform) -> tuple[Path, dict[str, str]]:
    """Make a Pulumi program without a line, with a backend of its own."""
    folder, backend = platform.folder / "empty", platform.folder / "empty-backend"
    environment = {**platform.shell, "PULUMI_BACKEND_URL": backend.as_uri()}
    if not folder.exists():
        backend.mkdir(mode=0o700)
        folder.mkdir()
        (folder / "Pulumi.yaml").write_text(
            "name: empty\nruntime:\n  name: python\n  options:\n    virtualenv: .venv\n"
        )
        (folder / "__main__.py").write_text("")
        (folder / ".venv").symlink_to(platform.stack.root / ".venv")
        processes.timed(["pulumi", "stack", "init", "empty"], directory=folder, environment=environment)
    return folder, environment
