"""Verbs that work on this machine, whatever stacks it has."""

from __future__ import annotations

from typing import Annotated

import typer

from toolchain.install import Part

app = typer.Typer()


@app.command()
def toolchain(
    without: Annotated[list[Part] | None, typer.Option(help="Leave this part out; may be repeated.")] = None,
) -> None:
    """Install what is missing: Docker, Pulumi, plugins, base image."""
    from operations.deploy.tools import ensure_tools

    ensure_tools(without or ())


@app.command()
def clean() -> None:
    """Remove tools, unused images and build cache. Never data, never state."""
    from operations.stack.target import target
    from operations.verbs import clean as verb

    verb.clean(target("dev").engine_or_none())
