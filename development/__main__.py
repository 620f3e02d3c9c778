"""The command line of `python -m development`."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from development import dependency_locks, generated_docs, go_tests
from operations.console.errors import OperationError
from toolchain.errors import StepFailedError
from toolchain.locations import ROOT
from toolchain.progress import Progress

app = typer.Typer(
    name="development",
    help="Refresh what is generated or pinned in this project.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail when a page is stale.")] = False,
) -> None:
    """Write what is generated in docs/ and README.md."""
    found = generated_docs.stale(ROOT)
    names = ", ".join(map(str, found))
    if check and found:
        print(f"stale: {names}; `make docs` updates them")
        raise typer.Exit(1)
    generated_docs.write(ROOT, found)
    print(f"written: {names}" if found else "everything generated is up to date")


@app.command()
def lock(
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Take the newest versions allowed.")] = False,
) -> None:
    """Write requirements*.lock from pyproject.toml."""
    changed = dependency_locks.lock(ROOT, os.environ, upgrade=upgrade)
    print(f"changed: {', '.join(changed)}" if changed else "nothing changed")


@app.command()
def refresh_packages() -> None:
    """Make the next `up` build the images with the newest Debian packages."""
    path = dependency_locks.refresh_packages(ROOT, datetime.now(UTC).date())
    print(f"{path.relative_to(ROOT)} has today's date; the next `make up` builds the images with today's packages")


@app.command()
def test_go() -> None:
    """Check and test the collector's Go."""
    go_tests.run(Progress(), os.environ)


if __name__ == "__main__":
    try:
        app()
    except (OperationError, StepFailedError) as error:
        sys.exit(f"error: {error}")
