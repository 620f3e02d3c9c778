"""Options that several verbs have."""

from __future__ import annotations

from typing import Annotated

import typer

Stack = Annotated[
    str, typer.Option("--stack", "-s", envvar="STACK", help="Stack to work on: the X of Pulumi.X.yaml.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", envvar="YES", help="Do not ask for confirmation.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def exit_unless(success: bool) -> None:
    """End with exit code 1 when a verb found something wrong."""
    if not success:
        raise typer.Exit(1)
