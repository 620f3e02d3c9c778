"""Verbs that work on one stack."""

from __future__ import annotations

from typing import Annotated

import typer

from operations.cli.options import Json, Stack, Yes, exit_unless

app = typer.Typer()


@app.command()
def up(stack: Stack = "dev", yes: Yes = False) -> None:
    """Bring a stack up, and wait until it answers.

    Checks the machine, installs tools that are missing, and runs `pulumi up`.
    """
    from operations.verbs import up as verb

    verb.up(stack, yes=yes)


@app.command()
def down(
    stack: Stack = "dev",
    yes: Yes = False,
    leftovers: Annotated[
        bool,
        typer.Option(
            "--leftovers",
            envvar="LEFTOVERS",
            help="Also remove resources that have the stack's label and are in no state, data included.",
        ),
    ] = False,
) -> None:
    """Destroy a stack with its data, and check that nothing is left."""
    from operations.stack.target import target
    from operations.verbs import down as verb

    verb.down(target(stack), yes=yes, leftovers=leftovers)


@app.command()
def status(stack: Stack = "dev", json: Json = False) -> None:
    """Show services, health, restarts, memory and ports of a stack.

    Fails when something is wrong.
    """
    from operations.stack.target import target
    from operations.verbs import status as verb

    exit_unless(verb.status(target(stack), as_json=json))


@app.command()
def doctor(stack: Stack = "dev", json: Json = False) -> None:
    """Report what is wrong with machine and stack, and how to fix it.

    Fails when something is broken.
    """
    from operations.verbs import doctor as verb

    exit_unless(verb.doctor(stack, as_json=json))


@app.command()
def traces(
    stack: Stack = "dev",
    follow: Annotated[bool, typer.Option(help="Then show new traces as they arrive, until Ctrl-C.")] = True,
    last: Annotated[int, typer.Option(min=0, help="How many of the recorded traces to show first.")] = 10,
    errors: Annotated[bool, typer.Option("--errors", help="Show only traces with an error.")] = False,
) -> None:
    """Show recorded traces as trees, and follow new ones."""
    from operations.stack.target import target
    from operations.verbs import traces as verb

    verb.traces(target(stack), follow=follow, last=last, errors_only=errors)


@app.command()
def env(stack: Stack = "dev") -> None:
    """Print the variables for using plain `pulumi` in a shell, as shell code.

    Use them with `eval "$(make -s env)"`.
    """
    from operations.console import terminal
    from operations.verbs import env as verb

    terminal.say(verb.env(stack))
