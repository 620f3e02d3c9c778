"""Tables, for the terminal and for the pages in `docs/`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MARKER = "<!-- benchmarks -->"


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """The results of one measurement."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """What a reader must know to understand the numbers, in full sentences."""


def plain(table: Table) -> str:
    """Return a table for a terminal, with the first column aligned left and the others right."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]

    def row(cells: Sequence[str]) -> str:
        first, *rest = cells
        others = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
        return "  ".join([first.ljust(widths[0]), *others]).rstrip()

    rule = "  ".join("-" * width for width in widths)
    body = [row(table.columns), rule, *map(row, table.rows)]
    return "\n".join([table.title, "", *body, *(f"  {note}" for note in table.notes), ""])


def markdown(table: Table) -> str:
    """Return a table for a page."""

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    align = "| " + " | ".join(["---", *["---:"] * (len(table.columns) - 1)]) + " |"
    lines = [f"### {table.title}", "", row(table.columns), align, *map(row, table.rows), ""]
    lines += [f"- {note}" for note in table.notes]
    return "\n".join(lines).rstrip() + "\n"


def section(name: str, machine: str, tables: Sequence[Table]) -> str:
    """Return a section of a page: the machine and the tables, between marks by which it is found again."""
    content = "\n".join([f"## {name}", "", machine, "", *map(markdown, tables)])
    return f"{_begin(name)}\n{content.rstrip()}\n{_end(name)}\n"


def insert(page: str, name: str, written: str, order: Sequence[str]) -> str:
    """Return the page with a section that replaces its older version, or follows those that come before it.

    Raises:
        ValueError: when the page has no marker for its sections.
    """
    if MARKER not in page:
        raise ValueError(f"the page has no line {MARKER}")
    head, _, tail = page.partition(MARKER)
    found = {one: match[0] for one in order if (match := re.search(_pattern(one), tail, re.DOTALL))}
    for old in found.values():
        tail = tail.replace(old, "")
    found[name] = written
    sections = "\n".join(found[one] for one in order if one in found)
    rest = tail.strip()
    return f"{head}{MARKER}\n\n{sections}" + (f"\n{rest}\n" if rest else "")


def _begin(name: str) -> str:
    return f"<!-- begin {name} -->"


def _end(name: str) -> str:
    return f"<!-- end {name} -->"


def _pattern(name: str) -> str:
    return rf"{re.escape(_begin(name))}\n.*?{re.escape(_end(name))}\n?"
