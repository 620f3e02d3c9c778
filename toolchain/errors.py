"""Errors of the toolchain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class StepFailedError(Exception):
    """A step failed, and the user can do something about it.

    Args:
        problem: one sentence on what is wrong.
        log: file with the full output of the program that failed.
        tail: its last lines.
        fix: what to do, one step (often a command) per line.
    """

    def __init__(
        self, problem: str, *, log: Path | None = None, tail: Sequence[str] = (), fix: Sequence[str] = ()
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.log = log
        self.tail = tuple(tail)
        self.fix = tuple(fix)

    def __str__(self) -> str:
        lines = [self.problem]
        lines += [f"    | {line}" for line in self.tail]
        if self.log:
            lines.append(f"  log:   {self.log}")
        lines += [f"  {'do:' if number == 0 else '   '}    {step}" for number, step in enumerate(self.fix)]
        return "\n".join(lines)
