"""`make up`: from whatever the machine is now to a stack that answers, with a real `pulumi up`."""

from __future__ import annotations

import time

from operations.checks.settings import require_valid
from operations.console import terminal
from operations.console.errors import OperationError
from operations.console.run_log import run_log
from operations.deploy import build_logs, preflight, readiness, summary, telemetry_probe
from operations.deploy.tools import ensure_tools
from operations.engine.protocol import Engine
from operations.stack.pulumi_cli import PulumiCli, with_colour
from operations.stack.target import Target, tool_environment
from operations.stack.target import target as make_target
from settings import Settings, has_provider
from toolchain import locations
from toolchain.install import Part


def _colour(pulumi: PulumiCli) -> tuple[str, ...]:
    return ("--color", "always" if with_colour(pulumi.environment) else "never")


def deploy(target: Target, *, yes: bool) -> None:
    """Run `pulumi up`; protected stacks show a preview first and ask.

    Raises:
        OperationError: when it fails, or when a protected stack needs confirmation without a terminal.
    """
    pulumi = target.pulumi()
    common = ("up", *_colour(pulumi), "--suppress-outputs", "--suppress-permalink=true")
    if target.is_protected and not yes:
        if not terminal.is_interactive():
            raise OperationError(
                f"stack {target.stack} is protected: its changes need interactive confirmation",
                where=f"letta:protectData in {target.stack_file.path.name}",
                fix=[f"see what changes: `pulumi preview --stack {target.stack}`", "then confirm with YES=1"],
            )
        pulumi.interactive(*common)
        return
    preview = () if target.is_protected else ("--skip-preview",)
    with run_log("up", target.stack) as log:
        pulumi.stream(*common, "--yes", *preview, log=log)


def _explain_failure(target: Target, engine: Engine, *, since: float) -> None:
    """Show builds that failed and containers that are not healthy, of the run that began at `since`.

    Must not fail itself: the update's own error is what counts.
    """
    builds = build_logs.report_failed(target.checkout.root / "build", since=since, lines=readiness.LOG_LINES)
    try:
        target.pulumi().state(show_secrets=True)
    except OperationError:
        # Then generated passwords are not known, and cannot be redacted in logs.
        terminal.say("(the state cannot be read, so container logs are not shown: they could hold secrets)")
        return
    containers = readiness.report_trouble(engine, target.stack)
    if not builds and not containers:
        terminal.say("all containers of the stack are healthy: the cause is in the messages above")


def up(stack: str, *, yes: bool) -> None:
    """Bring the stack up.

    Raises:
        OperationError: with what to do.
        settings.SettingsError: with every problem of the settings.
    """
    started = time.monotonic()
    target = make_target(stack)
    require_valid(target)
    folders = {"state": locations.state_home(), "cache": locations.cache_home()}
    running = target.engine_or_none()
    preflight.check_machine(target, running, folders)
    ensure_tools(needless_parts(target.settings))
    if tool_environment(stack) != target.environment:
        # The tools that were just installed are on another PATH.
        target = make_target(stack)
    engine = target.engine()
    if running is None:
        preflight.check_machine(target, engine, folders)
    preflight.prepare_stack(target, engine)
    deployed = time.time()
    try:
        deploy(target, yes=yes)
        outputs = target.state().outputs
        if outputs.get("healthUrl"):
            seconds = float(target.settings.start_timeout_seconds)
            readiness.wait_until_answering(str(outputs["healthUrl"]), seconds=seconds)
            telemetry_probe.probe(target, engine, outputs)
    except OperationError:
        _explain_failure(target, engine, since=deployed)
        raise
    show_endpoints(target)
    terminal.say(f"stack {target.stack} is up after {time.monotonic() - started:.0f} s")


def needless_parts(settings: Settings) -> tuple[Part, ...]:
    """Return the parts of the toolchain that a stack with these settings does not use."""
    return (Part.BASE_IMAGE,) if settings.base_image or settings.pinned_images else ()


def show_endpoints(target: Target) -> None:
    """Show the endpoints and what to do next."""
    outputs = target.state().outputs
    stack = target.stack
    terminal.table(f"stack {stack}", ("what", "where"), summary.rows(outputs, stack))
    terminal.say("Try it (paste this into a shell, in any folder):\n")
    terminal.say(summary.snippets(outputs, root=target.checkout.root, stack=stack))
    terminal.say("\nNext:")
    for step in summary.next_steps(outputs, stack, has_provider=has_provider(target.settings)):
        terminal.say(f"  {step}")
