"""Writes to the terminal: lines, tables, JSON, questions. Without colours when the output is not a terminal."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Sequence

from operations.console.errors import OperationError
from operations.console.redaction import redacted

_YES = frozenset({"y", "yes"})


def say(line: str = "") -> None:
    """Write a line to standard output, at once and not only when the buffer is full.

    When the reader has gone (`make up | head`, a closed terminal) the work goes on unseen.
    """
    _write(redacted(line))


def _write(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError:
        discard_output()


def say_error(text: str) -> None:
    """Write to standard error."""
    print(redacted(text), file=sys.stderr, flush=True)


def replace_unencodable() -> None:
    """Write `?` from now on where the terminal's encoding lacks a character such as `→`, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def discard_output() -> None:
    """Discard standard output from now on, because its reader has gone.

    Without it, Python would fail once more when it flushes at its end.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say_json(document: object) -> None:
    """Write a document as JSON."""
    _write(json.dumps(_redacted(document), indent=2))


def _redacted(document: object) -> object:
    # Before it becomes JSON text, in which a number might match a secret, and the mask would be invalid.
    if isinstance(document, str):
        return redacted(document)
    if isinstance(document, dict):
        return {key: _redacted(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [_redacted(value) for value in document]
    return document


def say_styled(lines: Iterable[tuple[str, str]]) -> None:
    """Write lines, each given with its style (`bold`, `red`, or none).

    When the reader has gone, the program ends: this is for output that goes on until it is stopped.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line, style in lines:
        console.print(Text(redacted(line), style=style))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table; nothing in it is read as markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    class PersistentConsole(Console):
        """Goes on when the reader has gone, as `say` does; Rich would end the program."""

        def on_broken_pipe(self) -> None:
            discard_output()

    grid = Table(title=redacted(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(redacted(cell), style=_style(cell)) for cell in row))
    PersistentConsole(width=_width(), highlight=False).print(grid)


def _width() -> int:
    """Return the columns to write in."""
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return int(os.environ.get("COLUMNS", "0") or 0) or 160


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


def is_interactive() -> bool:
    """Whether a user is at the terminal to answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone.

    Raises:
        OperationError: when the answer is no, or there is no terminal to ask on.
    """
    if yes:
        return
    if not is_interactive():
        raise OperationError(f"{question} There is no terminal to ask on", fix=["confirm with YES=1"])
    print(f"{redacted(question)} [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in _YES:
        raise OperationError("cancelled")


def size(count: float) -> str:
    """Return a number of bytes with a unit, such as `1.5 GB`."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
