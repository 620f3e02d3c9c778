"""Looks at Pulumi, the settings and the stack: backend, passphrase, what is deployed and how it fares."""

from __future__ import annotations

import contextlib
import os
import shutil
import tomllib
from collections.abc import Collection
from pathlib import Path

from operations.checks import telemetry
from operations.checks.result import Check, broken, note, ok, unknown
from operations.console.errors import OperationError
from operations.deploy import preflight
from operations.engine.protocol import Container, Engine, Volume, troubled
from operations.stack import decryption
from operations.stack.backend import Lock
from operations.stack.state import StackState
from operations.stack.target import Target


def from_error(name: str, error: Exception) -> Check:
    """Make a finding of an error that says what to do."""
    if isinstance(error, OperationError):
        where = f" ({error.where})" if error.where else ""
        return broken(name, error.problem + where, *error.fix)
    return broken(name, str(error))


def pulumi_check(target: Target) -> Check:
    """Look whether the CLI is there and starts."""
    from operations.checks.network import run

    found = shutil.which("pulumi", path=target.environment.get("PATH"))
    if not found:
        return broken("pulumi", "not there", "`make toolchain` brings it")
    version = run([found, "version"]).strip()
    if not version:
        return broken("pulumi", f"{found} does not start", "`make clean`, then `make toolchain`")
    return ok("pulumi", f"{version} at {found}")


def plugin_check(target: Target) -> Check:
    """Look whether the plugins of the pinned versions are installed."""
    versions = tomllib.loads((target.checkout.root / "toolchain" / "versions.toml").read_text(encoding="utf-8"))
    home = Path(target.environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    wanted = [f"{one['kind']}-{one['name']}-v{one['version']}" for one in versions["plugin"]]
    lacking = [name for name in wanted if not (home / "plugins" / name).is_dir()]
    if lacking:
        return broken("plugins", f"not in {home}: {', '.join(lacking)}", "`make toolchain` brings them")
    return ok("plugins", ", ".join(wanted))


def backend_check(target: Target) -> Check:
    """Look where the state is, and whether it can be used."""
    url = target.environment.get("PULUMI_BACKEND_URL")
    if not url:
        return note("backend", "as logged in", "`pulumi whoami -v` names it")
    if target.backend is None:
        return ok("backend", f"{url} (not looked at: it is not a folder)")
    folder = target.backend.folder
    if not folder.exists():
        return note("backend", f"{url}: the folder is not there yet", "`make up` makes it")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return broken("backend", f"{url}: not readable and writable", f"`sudo chown -R $USER {folder}`")
    return ok("backend", url)


def passphrase_check(target: Target) -> Check:
    """Look whether the passphrase is there, kept from others, and the stack's."""
    try:
        found = decryption.configured(target.environment)
        decrypter = target.decrypter if found is not None else None
    except OperationError as error:
        return from_error("passphrase", error)
    where = decryption.source(target.environment)
    if found is None:
        return broken("passphrase", "none is set", 'eval "$(make -s env)", or `make up`, which makes one')
    file = target.environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if file and "PULUMI_CONFIG_PASSPHRASE" not in target.environment and Path(file).stat().st_mode & 0o077:
        return note("passphrase", f"{file} can be read by others", f"`chmod 600 {file}`")
    opens = "opens the stack's secrets" if decrypter else "no secret of the stack needs it yet"
    return ok("passphrase", f"from {where}; {opens}")


def settings_check(target: Target) -> Check:
    """Look whether the settings are good."""
    from settings import SettingsError

    if not target.stack_file.exists:
        return note("settings", f"{target.stack_file.path.name} is not there; all settings have their defaults")
    try:
        preflight.check_settings(target)
    except SettingsError as error:
        words = "; ".join(f"{one.key} {one.rule}" for one in error.problems)
        return broken("settings", words, *(one.fix for one in error.problems))
    except OperationError as error:
        return from_error("settings", error)
    return ok("settings", target.stack_file.path.name)


def lock_check(locks: Collection[Lock]) -> Check:
    """Look whether somebody, or nobody any more, holds the stack."""
    for lock in locks:
        who = f"process {lock.pid} of {lock.user}@{lock.host}, since {lock.since}"
        if lock.is_stale:
            return note("lock", f"left by {who}, which is gone", "`make up` clears it, or `pulumi cancel`")
        return note("lock", f"held by {who}: an update runs")
    return ok("lock", "none")


def state_check(state: StackState) -> Check:
    """Look whether the last update ended in order."""
    if state.pending:
        names = ", ".join(urn.rpartition("::")[2] for urn in state.pending)
        return note("state", f"an update was interrupted while it created {names}", "`make up` sees to it")
    return ok("state", "nothing deployed" if state.is_empty else f"{len(state.resources)} resources")


def image_check(state: StackState, engine: Engine) -> Check:
    """Look whether the images that were built are still there."""
    missing = preflight.missing_images(state, engine)
    if missing:
        names = ", ".join(urn.rpartition("::")[2] for urn in missing)
        return note("images", f"gone from the engine: {names}", "`make up` builds them again")
    return ok("images", f"{len(state.images)} built")


def service_check(engine: Engine, containers: Collection[Container], stack: str) -> Check:
    """Look whether the containers of the stack are well."""
    if not containers:
        return ok("services", "not up")
    found = troubled(engine, containers)
    if found:
        words = "; ".join(f"{container.name}: {reason}" for container, reason in found)
        logs = (f"`docker logs {container.name}`" for container, _ in found)
        return broken("services", words, *logs, f"`make up STACK={stack}` replaces what failed to start")
    running = sum(container.state == "running" for container in containers)
    return ok("services", f"{running} running")


def volume_check(stack: str, state: StackState, volumes: Collection[Volume]) -> Check:
    """Look whether volumes with this stack's names belong to somebody else."""
    lost = frozenset(data_volumes(stack)) - state.volume_names
    foreign = [volume for volume in volumes if volume.name in lost]
    if foreign:
        names = ", ".join(volume.name for volume in foreign)
        return broken(
            "volumes",
            f"{names}: not in this stack's state, so another stack's or left behind; they are never adopted",
            "to go on with the data use the state that made them (PULUMI_BACKEND_URL and passphrase)",
            *(f"to start empty: `docker volume rm {volume.name}`" for volume in foreign),
        )
    return ok("volumes", f"{sum(volume.stack == stack for volume in volumes)} of this stack")


def data_volumes(stack: str) -> tuple[str, ...]:
    """Give the names of the volumes that keep data; all others are named anew each time."""
    names = ("postgres-data", "traces", "logs", "collector-queue", "collector-1-queue")
    return tuple(f"letta-{stack}-{name}" for name in names)


def stack_checks(target: Target, engine: Engine | None) -> tuple[Check, ...]:
    """Run all checks about Pulumi and the stack."""
    looks = (pulumi_check, plugin_check, backend_check, passphrase_check, settings_check)
    checks = [look(target) for look in looks]
    try:
        state = target.state()
    except OperationError as error:
        return (*checks, from_error("state", error))
    locks = target.backend.locks(target.checkout.project, target.stack) if target.backend else ()
    checks.append(lock_check(locks))
    if not any(not lock.is_stale for lock in locks):
        # While an update runs, what it is creating now is not what another one left.
        checks.append(state_check(state))
    if engine is None:
        return (*checks, unknown("services", "no engine to ask"))
    with contextlib.suppress(OperationError):
        # Log lines may hold them; a passphrase that does not fit is a finding of its own.
        target.hide_secrets()
    containers = engine.containers(target.stack)
    return (
        *checks,
        image_check(state, engine),
        service_check(engine, containers, target.stack),
        telemetry.check(state.outputs, engine, containers, stack=target.stack),
        volume_check(target.stack, state, engine.volumes()),
    )
