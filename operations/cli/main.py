"""The command line of `python -m operations`: all verbs, and how their errors are reported."""

from __future__ import annotations

import shutil
import sys
import traceback

import typer

from operations.cli import collector, machine, stack
from operations.console import terminal
from operations.console.errors import OperationError

app = typer.Typer(
    name="operations",
    help="Run the Letta platform: bring a stack up, inspect it, take it down.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(stack.app)
app.add_typer(machine.app)
app.add_typer(collector.app, name="collector")


def _fail(error: Exception) -> None:
    text = f"error: {error}"
    advice = " ".join(error.fix) if isinstance(error, OperationError) else text
    if "pulumi " in advice and shutil.which("pulumi") is None:
        text += '\n  (`pulumi` is not on the PATH of this shell; to put it there: eval "$(make -s env)")'
    terminal.say_error(text)
    sys.exit(1)


def main() -> None:
    """Run a verb. Errors that the user can act on are reported without a traceback."""
    terminal.replace_unencodable()
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
        # By name, because importing these classes at the start would cost every verb.
        if type(error).__name__ in {"SettingsError", "StepFailedError"}:
            _fail(error)
        terminal.say_error(traceback.format_exc())
        sys.exit(1)
