"""The command line of `python -m operations`; the Makefile's verbs come here.

Imports happen inside the verbs: each should pay only for what it uses.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from typing import Annotated

import typer

from operations.console import terminal
from operations.console.errors import OperationError
from toolchain.install import Part

app = typer.Typer(
    name="operations",
    help="Run the Letta platform: bring a stack up, look at it, take it down.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Stack = Annotated[
    str, typer.Option("--stack", "-s", envvar="STACK", help="Stack to work on: the X of Pulumi.X.yaml.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", envvar="YES", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def up(stack: Stack = "dev", yes: Yes = False) -> None:
    """Bring a stack up: check the machine, bring what is missing, `pulumi up`, wait until it answers."""
    from operations.verbs import up as module

    module.up(stack, yes=yes)


@app.command()
def down(
    stack: Stack = "dev",
    yes: Yes = False,
    leftovers: Annotated[
        bool,
        typer.Option(
            "--leftovers",
            envvar="LEFTOVERS",
            help="Also remove what has the stack's label and is in no state.",
        ),
    ] = False,
) -> None:
    """Destroy a stack with its data, and check that nothing of it is left."""
    from operations.stack.target import target
    from operations.verbs import down as module

    module.down(target(stack), yes=yes, leftovers=leftovers)


@app.command()
def status(stack: Stack = "dev", json: Json = False) -> None:
    """Show services, health, restarts, memory and ports of a stack; fails when something is wrong."""
    from operations.stack.target import target
    from operations.verbs import status as module

    _exit_unless(module.status(target(stack), as_json=json))


@app.command()
def doctor(stack: Stack = "dev", json: Json = False) -> None:
    """Say what is wrong with the machine or a stack, and how to mend it; fails when something is broken."""
    from operations.verbs import doctor as module

    _exit_unless(module.doctor(stack, as_json=json))


@app.command()
def traces(
    stack: Stack = "dev",
    follow: Annotated[bool, typer.Option(help="Go on with the traces that come, until Ctrl-C.")] = True,
    last: Annotated[int, typer.Option(min=0, help="How many of the recorded ones to show first.")] = 10,
    errors: Annotated[bool, typer.Option("--errors", help="Only traces with an error.")] = False,
) -> None:
    """Show the traces that the collector recorded as trees, and follow them."""
    from operations.stack.target import target
    from operations.verbs import traces as module

    module.traces(target(stack), follow=follow, last=last, errors_only=errors)


@app.command()
def env(stack: Stack = "dev") -> None:
    """Print shell lines for `eval "$(make -s env)"`, after which plain `pulumi` works in that shell."""
    from operations.verbs.env import env as lines

    terminal.say(lines(stack))


@app.command()
def toolchain(
    without: Annotated[list[Part] | None, typer.Option(help="Leave this part out; may be repeated.")] = None,
) -> None:
    """Bring the Docker engine, Pulumi, its plugins and the base image, where they are missing."""
    from operations.deploy.tools import ensure_tools

    ensure_tools(without or ())


@app.command()
def clean() -> None:
    """Remove tools, unused images and build cache. Never data, never state."""
    from operations.stack.target import target
    from operations.verbs import clean as module

    module.clean(target("dev").engine_or_none())


collector = typer.Typer(
    help="The collector on this machine, without Docker.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(collector, name="collector")

CollectorVersion = Annotated[
    str | None,
    typer.Option(
        "--version", envvar="LETTA_COLLECTOR_VERSION", help="Version of the collector; else the stacks' own."
    ),
]
CollectorPort = Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")]


@collector.command("install")
def collector_install(version: CollectorVersion = None) -> None:
    """Bring the collector, where it is missing, another version or damaged: its release, or built here."""
    import otel
    from operations.host_collector.install import install

    install(version or otel.DEFAULT_VERSION, os.environ)


@collector.command("run")
def collector_run(
    *,
    version: CollectorVersion = None,
    profile: Annotated[str | None, typer.Option(help="Profile; else chosen by what is set.")] = None,
    production: Annotated[bool, typer.Option("--production", help="Choose the production variant.")] = False,
    retention_days: Annotated[
        int, typer.Option(min=1, max=3650, help="How long ClickHouse keeps signals in tables that are made now.")
    ] = 30,
    grpc_port: CollectorPort = 4317,
    http_port: CollectorPort = 4318,
    health_port: CollectorPort = 13133,
    metrics_port: CollectorPort = 8888,
) -> None:
    """Run a collector here until Ctrl-C; variables say where to: CLICKHOUSE_ENDPOINT with CLICKHOUSE_PASSWORD.

    Also CLICKHOUSE_USERNAME and CLICKHOUSE_DATABASE; SIGNOZ_ENDPOINT with SIGNOZ_INGESTION_KEY; DD_SITE with
    DD_API_KEY; LETTA_ENVIRONMENT; GRAFANA_URL. With none of them it writes to files.
    """
    import otel
    from operations.host_collector.run import run

    code = run(
        version=version or otel.DEFAULT_VERSION,
        profile=profile,
        development=not production,
        layout=otel.ListenLayout(
            address="127.0.0.1",
            grpc_port=grpc_port,
            http_port=http_port,
            health_port=health_port,
            metrics_port=metrics_port,
        ),
        retention_days=retention_days,
    )
    raise typer.Exit(code)


def _exit_unless(well: bool) -> None:
    if not well:
        raise typer.Exit(1)


def _fail(error: Exception) -> None:
    text = f"error: {error}"
    advice = " ".join(error.fix) if isinstance(error, OperationError) else text
    if "pulumi " in advice and shutil.which("pulumi") is None:
        text += '\n  (`pulumi` is not on the PATH of this shell; after this line it is: eval "$(make -s env)")'
    terminal.say_error(text)
    sys.exit(1)


def main() -> None:
    """Run a verb; errors that a person can act on are shown without a traceback."""
    try:
        app()
    except OperationError as error:
        _fail(error)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        terminal.discard_output()
        sys.exit(141)
    except Exception as error:
        # Known only when they were raised; importing them at the start would cost every verb.
        if type(error).__name__ in {"SettingsError", "StepFailedError"}:
            _fail(error)
        terminal.say_error(traceback.format_exc())
        sys.exit(1)
