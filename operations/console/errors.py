"""The one error that operations raise on purpose: what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Sequence


class OperationError(Exception):
    """An error that the user can act on. Like all output, its text is redacted when it is printed.

    Args:
        problem: one sentence on what is wrong.
        where: the stack, key, file or container that it is about.
        fix: what to do, one step (often a command) per line.
    """

    def __init__(self, problem: str, *, where: str = "", fix: Sequence[str] = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.fix = tuple(fix)

    def __str__(self) -> str:
        lines = [self.problem]
        if self.where:
            lines.append(f"  where: {self.where}")
        lines += [f"  {'do:' if number == 0 else '   '}    {step}" for number, step in enumerate(self.fix)]
        return "\n".join(lines)
