"""Options that several verbs have."""

from __future__ import annotations

import os
import re
from typing import Annotated

import typer

from operations.console.errors import OperationError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,38}", re.ASCII)
"""Names of stacks. Containers are found by DNS as `letta-<stack>-server-10-1a2b3c4`, of at most 63 characters. DNS
and some file systems do not distinguish upper from lower case. And a name must not lead to another folder."""
_RULE = "lower-case letters, digits, `-` and `_`, at most 39, the first one a letter or digit"


def _checked(context: typer.Context, name: str) -> str:
    """Return the name of a stack.

    Raises:
        OperationError: when no stack can have it, or it is set and empty.
    """
    # An empty variable counts as not set for the command line, whose default is a stack, too.
    source = context.get_parameter_source("stack")
    is_default = source is not None and source.name == "DEFAULT"
    given = os.environ.get("STACK", name) if is_default else name
    if not _NAME.fullmatch(given):
        raise OperationError(
            f"{given!r} cannot be the name of a stack",
            where="STACK=, or --stack",
            fix=[f"a name consists of {_RULE}"],
        )
    return given


Stack = Annotated[
    str,
    typer.Option(
        "--stack", "-s", envvar="STACK", callback=_checked, help="Stack to work on: the X of Pulumi.X.yaml."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", envvar="YES", help="Do not ask for confirmation.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def exit_unless(success: bool) -> None:
    """End with exit code 1 when a verb found something wrong."""
    if not success:
        raise typer.Exit(1)
