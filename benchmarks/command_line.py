"""The command line of `python -m benchmarks`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import cold, footprint, losses, machine, noop, processes, report, start, telemetry, throughput
from benchmarks.load import LoadError
from benchmarks.platform import Platform, prepared
from benchmarks.processes import CommandFailedError
from benchmarks.report import Table
from benchmarks.server_copies import NotHealthyError
from testbed.deployment import CommandError
from toolchain.errors import StepFailedError
from toolchain.locations import ROOT
from toolchain.progress import Progress

PAGE = ROOT / "docs" / "benchmarks.md"
LOSSES_PAGE = ROOT / "docs" / "losses.md"


class Section(StrEnum):
    """What can be measured."""

    FOOTPRINT = "footprint"
    START = "start"
    NOOP = "noop"
    THROUGHPUT = "throughput"
    COMPOSE = "compose"
    TELEMETRY = "telemetry"
    LOSSES = "losses"


@dataclass(frozen=True, slots=True)
class _Measurement:
    title: str
    measure: Callable[[Platform, int], list[Table]]
    rounds: int
    page: Path = PAGE


@dataclass(frozen=True, slots=True)
class _WithoutStack:
    """A measurement without a stack."""

    title: str
    measure: Callable[[Progress, int], list[Table]]
    rounds: int
    page: Path


# The last one with a stack destroys the stack that they share.
_SECTIONS: dict[Section, _Measurement | _WithoutStack] = {
    Section.FOOTPRINT: _Measurement("Footprint", footprint.measure, 3),
    Section.START: _Measurement("Start of the server", start.measure, 5),
    Section.NOOP: _Measurement("Updates without a change", noop.measure, 7),
    Section.THROUGHPUT: _Measurement("Throughput", throughput.measure, 5),
    Section.COMPOSE: _Measurement("Against Docker Compose", cold.measure, 5),
    Section.TELEMETRY: _WithoutStack("Telemetry", telemetry.measure, 3, PAGE),
    Section.LOSSES: _WithoutStack("Losses", losses.measure, 1, LOSSES_PAGE),
}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def benchmarks(
    sections: Annotated[list[Section] | None, typer.Argument(help="What to measure; default: everything.")] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="How often to measure; default: 1 to 7, depending on the section."),
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Write the tables to their pages in docs/, with a description of this machine."
        ),
    ] = False,
) -> None:
    """Measure the platform on this machine, in a stack of its own, and print medians, spread and ratios.

    All sections take about an hour on two processors, half of it for losses, which need no stack. Other work on
    the machine makes the numbers noisy.
    """
    import docker

    progress = Progress()
    engine = docker.from_env(timeout=300)
    wanted = [section for section in Section if section in (sections or tuple(Section))]
    with contextlib.closing(engine), contextlib.ExitStack() as held:
        platform: Platform | None = None
        for section in wanted:
            one = _SECTIONS[section]
            if isinstance(one, _WithoutStack):
                tables = one.measure(progress, rounds or one.rounds)
            else:
                platform = platform or held.enter_context(prepared(progress, engine))
                tables = one.measure(platform, rounds or one.rounds)
            where = machine.seen_on(engine, ROOT)
            print(f"\n{where}\n", *map(report.plain, tables), sep="\n", flush=True)
            if write:
                _write(one, where, tables)


def _write(one: _Measurement | _WithoutStack, where: str, tables: list[Table]) -> None:
    """Write a section to its page at once, so that a later section's failure does not discard its numbers."""
    order = [other.title for other in _SECTIONS.values() if other.page == one.page]
    page = one.page.read_text(encoding="utf-8")
    written = report.section(one.title, where, tables)
    one.page.write_text(report.insert(page, one.title, written, order), encoding="utf-8")


def main() -> None:
    """Run the command; errors that the user can act on are shown without a traceback."""
    try:
        with processes.ended_by_signals():
            app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (CommandError, CommandFailedError, NotHealthyError, LoadError, StepFailedError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
