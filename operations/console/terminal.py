"""Writes for people: lines, tables, questions. Plain where nobody looks at a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from operations.console.errors import OperationError

_YES = frozenset({"y", "yes"})


def say(line: str = "") -> None:
    """Write a line at once, so that it is seen when it is said and not when the buffer is full.

    When the reader has gone (`make up | head`) the work goes on unseen.
    """
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_interactive() -> bool:
    """Whether a person is there to answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def width() -> int:
    """Give the columns to write in."""
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return int(os.environ.get("COLUMNS", "0") or 0) or 160


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table; nothing in it is read as markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    Console(width=width(), highlight=False).print(grid)


def _style(cell: str) -> str:
    return {
        "ok": "green",
        "healthy": "green",
        "note": "yellow",
        "starting": "yellow",
        "broken": "bold red",
        "unhealthy": "bold red",
        "unknown": "dim",
    }.get(cell, "")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone.

    Raises:
        OperationError: when the answer is no, or nobody is there to answer.
    """
    if yes:
        return
    if not is_interactive():
        raise OperationError(f"{question} nobody is there to answer", fix=["give YES=1"])
    print(f"{question} [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in _YES:
        raise OperationError("not done, as you say")


def size(count: float) -> str:
    """Write bytes for people."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
