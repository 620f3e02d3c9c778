"""What is wrong with a stack's settings, and the commands that fix it. Holds no values, so it can leak none."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

_PROMPT = "   # asks for the value, or takes it from standard input"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One broken rule."""

    key: str
    """The setting as Pulumi writes it, for instance `letta:apiPort`; never its value."""
    rule: str
    """What holds for a valid value, as the end of a sentence that starts with the key."""
    fix: str
    """The command that fixes it, ready to paste."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """A broken rule, without the command that fixes it, which depends on the stack."""

    key: str
    """The key to change, without namespace; a path such as `serverEnvironment.NAME` within an object."""
    rule: str
    involved: frozenset[str]
    """Keys that the rule depends on; it is not reported while one of them is invalid by itself."""
    example: str | None = None
    """A value that would be valid; None for secrets, and where the fix is to remove the key."""
    remove: bool = False
    """Whether the fix is to remove the key."""


class SettingsError(ValueError):
    """Every broken rule of one stack's settings at once; the text is meant for the user who wrote them."""

    def __init__(self, problems: Iterable[Problem], *, stack: str) -> None:
        self.problems = tuple(problems)
        self.stack = stack
        number = len(self.problems)
        counted, are = ("One setting", "is") if number == 1 else (f"{number} settings", "are")
        lines = [f"{counted} of stack {stack} {are} invalid (nothing was created or changed):"]
        for problem in self.problems:
            lines += ["", f"  {problem.key} {problem.rule}", f"      {problem.fix}"]
        super().__init__("\n".join(lines))


def set_command(key: str, example: str, *, stack: str) -> str:
    """Return the command that gives a plain setting a valid value."""
    path = "--path " if "." in key else ""
    return f"pulumi config set {path}{shlex.quote(key)} {shlex.quote(example)} --stack {stack}"


def set_secret_command(key: str, *, stack: str) -> str:
    """Return the command that stores a secret; its value stays out of the shell's history."""
    path = "--path " if "." in key else ""
    return f"pulumi config set --secret {path}{shlex.quote(key)} --stack {stack}{_PROMPT}"


def remove_command(key: str, *, stack: str) -> str:
    """Return the command that removes a setting from the stack file."""
    path = "--path " if "." in key else ""
    return f"pulumi config rm {path}{shlex.quote(key)} --stack {stack}"
