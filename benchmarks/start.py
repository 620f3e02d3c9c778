"""What compiled bytecode saves: the server's time to healthy with and without it."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks import server_copies
from benchmarks.platform import Platform
from benchmarks.report import Table
from benchmarks.samples import Samples, against

TARGET = "<= 0.65x"
AS_BUILT = "as built"
WITHOUT = "without bytecode"
SERVER_WITHOUT = "without the server's bytecode, with that of Debian's Python"
_VARIANTS = {
    WITHOUT: "find / -xdev -name '*.pyc' -delete",
    SERVER_WITHOUT: "find /opt -xdev -name '*.pyc' -delete",
}


def measure(platform: Platform, rounds: int) -> list[Table]:
    """Start copies of the stack's server in turn, and remove each before the next one."""
    stack = platform.up()
    server = stack.container("letta")
    image = server.attrs["Config"]["Image"]
    taken: dict[str, list[float]] = {AS_BUILT: [], **{name: [] for name in _VARIANTS}}
    with ExitStack() as made:
        images = {AS_BUILT: image}
        with platform.progress.step("removing bytecode from copies of the image"):
            for number, (name, command) in enumerate(_VARIANTS.items()):
                derived = server_copies.changed_image(
                    platform.engine, image, command=command, tag=f"bytecode-{number}", label=stack.stack
                )
                images[name] = made.enter_context(derived)
        # The first round fills the file cache; otherwise the first start would measure the disk.
        for number in range(rounds + 1):
            with platform.progress.step(f"starting servers, round {number} of {rounds}"):
                for name in _in_turn(list(images), number):
                    seconds = _start(platform, images[name])
                    platform.progress.say(f"{name}: {seconds:.1f} s")
                    if number:
                        taken[name].append(seconds)
    samples = {name: Samples.of(values) for name, values in taken.items()}
    built = samples[AS_BUILT]
    rows = [(AS_BUILT, *built.shown(), "", "")]
    rows += [
        (name, *samples[name].shown(), *against(built, samples[name], TARGET if name == WITHOUT else ""))
        for name in _VARIANTS
    ]
    return [
        Table(
            title="Start of the server to healthy",
            columns=("image", "seconds", "min-max", "as built / this", "target"),
            rows=tuple(rows),
            notes=(
                f"{rounds} interleaved rounds while the stack runs, with the same database and the image's own"
                " deep health check.",
                "No bytecode is written at run time (PYTHONDONTWRITEBYTECODE=1), because the root file system is"
                " read-only.",
            ),
        )
    ]


def _start(platform: Platform, image: str) -> float:
    stack = platform.stack
    with server_copies.copy(
        platform.engine,
        stack.container("letta"),
        name="start",
        label=stack.stack,
        image=image,
        environment={"PYTHONDONTWRITEBYTECODE": "1"},
    ) as container:
        return server_copies.start(container)


def _in_turn(names: list[str], number: int) -> list[str]:
    """Return the names with another one first in each round."""
    first = number % len(names)
    return names[first:] + names[:first]
