"""`make up`: from whatever the machine is now to a stack that answers, with a real `pulumi up`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from operations.console import terminal
from operations.console.errors import OperationError
from operations.console.redaction import Redactor
from operations.deploy import build_logs, preflight, readiness, summary, telemetry_probe
from operations.engine.protocol import Engine
from operations.stack.pulumi_cli import PulumiCli, with_colour
from operations.stack.target import Target, tool_environment
from operations.stack.target import target as make_target
from toolchain import locations
from toolchain.install import Part, ensure
from toolchain.progress import Progress

_PROVIDER_KEYS = (
    "openaiApiKey",
    "anthropicApiKey",
    "ollamaBaseUrl",
    "vllmBaseUrl",
    "azureApiKey",
    "geminiApiKey",
    "groqApiKey",
)


def log_file(verb: str, stack: str) -> Path:
    """Make a new file for the log of a run; only its owner may read it."""
    folder = locations.private_folder(locations.logs())
    path = folder / f"{time.strftime('%Y%m%dT%H%M%S')}-{verb}-{stack}.log"
    path.touch(mode=0o600)
    return path


@contextmanager
def logged(verb: str, stack: str) -> Iterator[IO[str]]:
    """Open the log of a run, and say where it is."""
    path = log_file(verb, stack)
    terminal.say(f"pulumi {verb}, stack {stack} (log: {path})")
    with path.open("a", encoding="utf-8") as file:
        yield file


def _colour(pulumi: PulumiCli) -> tuple[str, ...]:
    return ("--color", "always" if with_colour(pulumi.environment) else "never")


def deploy(target: Target, *, yes: bool, show: Callable[[str], None]) -> None:
    """Run `pulumi up`; protected stacks show a preview first and ask.

    Raises:
        OperationError: when it fails, or nobody is there to confirm a change of a protected stack.
    """
    pulumi = target.pulumi()
    common = ("up", *_colour(pulumi), "--suppress-outputs", "--suppress-permalink=true")
    if target.is_protected and not yes:
        if not terminal.is_interactive():
            raise OperationError(
                f"stack {target.stack} is protected: a person confirms its changes",
                where=f"letta:protectData in {target.stack_file.path.name}",
                fix=[f"look first: `pulumi preview --stack {target.stack}`", "then give YES=1"],
            )
        pulumi.interactive(*common)
        return
    preview = () if target.is_protected else ("--skip-preview",)
    with logged("up", target.stack) as log:
        pulumi.stream(*common, "--yes", *preview, show=show, log=log)


def _explain_failure(target: Target, engine: Engine, *, since: float) -> None:
    """Show builds that failed and containers that are not well, of the run that began at `since`.

    Must not fail itself: the update's own error is what counts.
    """
    builds = build_logs.report_failed(
        target.checkout.root / "build", since=since, lines=readiness.LOG_LINES, show=terminal.say
    )
    secrets = list(target.known_secrets())
    try:
        secrets += target.pulumi().state(show_secrets=True).secret_values()
    except OperationError:
        # Then generated passwords are not known, and a log that might show one is not shown.
        terminal.say("(the state cannot be read, so container logs are not shown: they could hold secrets)")
        return
    containers = readiness.report_trouble(engine, target.stack, clean=Redactor(secrets), show=terminal.say)
    if not builds and not containers:
        terminal.say("no container of the stack is unwell: the cause is in the messages above")


def up(stack: str, *, yes: bool) -> None:
    """Bring the stack up.

    Raises:
        OperationError: with what to do.
        settings.SettingsError: with every problem of the settings.
    """
    started = time.monotonic()
    target = make_target(stack)
    preflight.check_settings(target)
    folders = {"state": locations.state_home(), "cache": locations.cache_home()}
    preflight.check_machine(target, target.engine_or_none(), folders)
    ensure_tools(_needless(target))
    if tool_environment(stack) != target.environment:
        # The tools that were brought just now are found by another PATH than before.
        target = make_target(stack)
    engine = target.engine()
    # An engine that was only installed now holds no port yet; one that ran has been looked at above.
    preflight.prepare_stack(target, engine, terminal.say)
    deployed = time.time()
    try:
        deploy(target, yes=yes, show=terminal.say)
        outputs = target.state().outputs
        if outputs.get("healthUrl"):
            seconds = float(target.stack_file.number("startTimeoutSeconds", 180))
            readiness.wait_until_answering(str(outputs["healthUrl"]), seconds=seconds, show=terminal.say)
            telemetry_probe.prove(target, engine, outputs, terminal.say)
    except OperationError:
        _explain_failure(target, engine, since=deployed)
        raise
    show_endpoints(target)
    terminal.say(f"stack {target.stack} is up after {time.monotonic() - started:.0f} s")


def ensure_tools(without: Collection[Part] = ()) -> None:
    """Bring what is missing: engine, Pulumi with its plugins, base image.

    Raises:
        toolchain.errors.StepFailedError: when something cannot be brought, with what to install by hand.
    """
    ensure(Progress(terminal.say), want=[part for part in Part if part not in without])


def _needless(target: Target) -> tuple[Part, ...]:
    """Give the parts that the settings make needless."""
    own_base = target.stack_file.text("baseImage", "none") != "none"
    pinned = target.stack_file.value("pinnedImages") not in (None, {}, "{}", "none")
    return (Part.BASE_IMAGE,) if own_base or pinned else ()


def show_endpoints(target: Target) -> None:
    """Show where everything is and what to do next."""
    outputs = target.state().outputs
    stack = target.stack
    terminal.table(f"stack {stack}", ("what", "where"), summary.rows(outputs, stack))
    terminal.say("Try it (pasted as it is, in any folder):\n")
    terminal.say(summary.snippets(outputs, root=target.checkout.root, stack=stack))
    terminal.say("\nNext:")
    for step in summary.next_steps(outputs, stack, has_provider=_has_provider(target)):
        terminal.say(f"  {step}")


def _has_provider(target: Target) -> bool:
    values = (target.stack_file.value(key) for key in _PROVIDER_KEYS)
    return any(isinstance(value, dict) or value not in {None, "", "none"} for value in values)
