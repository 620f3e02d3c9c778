"""`make doctor`: everything that is wrong with the machine or the stack, each with its fix."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from operations.checks import machine, network
from operations.checks import stack as stack_checks
from operations.checks.result import Check, CheckState, broken, note, ok, unknown
from operations.console import terminal
from operations.console.errors import OperationError
from operations.engine.protocol import Engine, EngineFacts, EngineUnreachableError
from operations.stack.target import Target, target
from settings import Settings, load
from toolchain import locations
from toolchain.errors import StepFailedError


def _engine(on: Target) -> tuple[Engine | None, EngineFacts | None, str]:
    from operations.engine.docker_engine import connect

    try:
        engine = connect(on.environment)
    except EngineUnreachableError as error:
        return None, None, str(error)
    return engine, engine.facts(), ""


def _settings(on: Target) -> Settings:
    """Return the stack's settings; the defaults where its file cannot be read, which another check reports."""
    try:
        return on.settings
    except OperationError:
        return load({}, (), stack=on.stack)


def _machine(
    on: Target, settings: Settings, engine: Engine | None, facts: EngineFacts | None, why: str
) -> list[Check]:
    folders = {"state": locations.state_home(), "cache": locations.cache_home()}
    checks = [machine.engine_check(engine, facts, why)]
    if facts and engine and engine.is_local and Path(facts.root).exists():
        folders["engine"] = Path(facts.root)
    if facts and engine:
        available = machine.available_memory() if engine.is_local else None
        checks.append(machine.memory_check(settings, facts.memory, available))
        checks.append(machine.cpu_check(facts.cpus))
        checks += [note("engine", warning) for warning in facts.warnings]
    else:
        checks += [unknown(name, "no engine answers") for name in ("memory", "cpu")]
    return [*checks, *machine.quick(on.stack, settings, engine, folders)]


def _network(on: Target, settings: Settings, facts: EngineFacts | None) -> list[Check]:
    hosts = facts.registry_hosts if facts else ()
    probes = network.probe_all(network.registries(on.environment, hosts))
    others = list(network.times(probes))
    engine_time = machine.engine_time(facts) if facts else None
    if engine_time:
        others.append(("the engine", engine_time))
    return [
        network.dns_check(probes, by_proxy=network.has_proxy(on.environment)),
        network.tls_check(probes, ca_bundle=settings.ca_bundle, environment=on.environment),
        machine.clock_check(datetime.now(UTC), others),
    ]


def diagnose(on: Target) -> tuple[Check, ...]:
    """Run every check."""
    engine, facts, why = _engine(on)
    settings = _settings(on)
    return (
        ok("machine", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"),
        *_machine(on, settings, engine, facts, why),
        *_network(on, settings, facts),
        *stack_checks.stack_checks(on, engine),
    )


def _rows(checks: Sequence[Check]) -> list[tuple[str, str, str]]:
    return [
        (check.name, check.state.value, "\n".join([check.detail, *(f"→ {step}" for step in check.fix)]))
        for check in checks
    ]


def doctor(stack: str, *, as_json: bool) -> bool:
    """Show what was found; return whether nothing is broken."""
    extra: tuple[Check, ...] = ()
    try:
        on = target(stack)
    except StepFailedError as error:
        # For instance a lost passphrase: that is a finding, and no reason to skip the others.
        extra = (broken("environment", error.problem, *error.fix),)
        on = Target(stack=stack, environment=dict(os.environ))
    checks = (*extra, *diagnose(on))
    bad = [check for check in checks if check.state is CheckState.BROKEN]
    if as_json:
        terminal.say_json({"stack": stack, "checks": [asdict(check) for check in checks]})
    else:
        terminal.table(f"stack {stack}", ("check", "state", "found"), _rows(checks))
        terminal.say(f"{len(bad)} broken" if bad else "nothing is broken")
    return not bad
