"""`make up`: from whatever the machine is now to a stack that answers, with a real `pulumi up`."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from pathlib import Path

from operations.checks.drift import Difference, differences
from operations.checks.leftovers import labelled
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


def deploy(target: Target, *, yes: bool, replace: Collection[str] = ()) -> None:
    """Run `pulumi up`, and have it replace these URNs; protected stacks show a preview first and ask.

    Raises:
        OperationError: when it fails, or when a protected stack needs confirmation without a terminal.
    """
    pulumi = target.pulumi()
    common = ("up", *_colour(pulumi), "--suppress-outputs", "--suppress-permalink=true")
    common += tuple(part for urn in replace for part in ("--replace", urn))
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


def _explain_failure(target: Target, engine: Engine, *, logs: Mapping[Path, int]) -> None:
    """Show builds that failed since the build logs had these sizes, and containers that are not healthy.

    Does not fail itself, whatever happens: the update's own error is what counts.
    """
    try:
        builds = build_logs.report_failed(_build_folder(target), before=logs, lines=readiness.LOG_LINES)
        target.pulumi().state(show_secrets=True)
    except Exception:
        # Then generated passwords are not known, and cannot be redacted in logs.
        terminal.say("(the state cannot be read, so container logs are not shown: they could hold secrets)")
        return
    try:
        containers = readiness.report_trouble(engine, target.stack)
    except Exception as error:
        terminal.say(f"(the engine no longer answers, so containers are not shown: {type(error).__name__})")
        return
    if not builds and not containers:
        terminal.say("all containers of the stack are healthy: the cause is in the messages above")


def _build_folder(target: Target) -> Path:
    return target.checkout.root / "build"


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
    replace = preflight.prepare_stack(target, engine, yes=yes)
    logs = build_logs.sizes(_build_folder(target))
    try:
        deploy(target, yes=yes, replace=replace)
        verify(target, engine)
    except Exception:
        _explain_failure(target, engine, logs=logs)
        raise
    show_endpoints(target)
    terminal.say(f"stack {target.stack} is up after {time.monotonic() - started:.0f} s")


def verify(target: Target, engine: Engine) -> None:
    """Wait until the stack works: all services are healthy, the API reads the database, telemetry arrives.

    Raises:
        OperationError: when it does not.
    """
    state = target.state()
    seconds = float(target.settings.start_timeout_seconds)

    def look() -> Collection[Difference]:
        volumes = [volume.name for volume in engine.volumes()]
        return differences(state, labelled(engine, target.stack), volumes)

    readiness.wait_until_well(look, seconds=seconds)
    if api := state.outputs.get("apiUrl"):
        password = target.secret_output(state, "serverPassword")
        # Through the edge; upstream's health endpoint answers 200 with the database down.
        readiness.wait_until_answering(
            f"{str(api).rstrip('/')}/v1/agents/?limit=1",
            seconds=seconds,
            ask=lambda url: readiness.answer(url, password),
        )
        telemetry_probe.probe(target, engine, state.outputs)


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
