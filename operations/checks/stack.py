"""Checks Pulumi and the stack: backend, passphrase, what is deployed and whether it is healthy."""

from __future__ import annotations

import contextlib
import os
import shutil
import tomllib
from collections.abc import Collection
from pathlib import Path

from operations.checks import leftovers, telemetry
from operations.checks.network import run
from operations.checks.result import Check, broken, from_error, note, ok, unknown
from operations.checks.settings import settings_check
from operations.console.errors import OperationError
from operations.engine.protocol import Container, Engine, Volume, troubled
from operations.stack import decryption
from operations.stack.backend import Lock
from operations.stack.state import StackState
from operations.stack.target import Target


def pulumi_check(target: Target) -> Check:
    """Report whether the CLI is installed and starts."""
    found = shutil.which("pulumi", path=target.environment.get("PATH"))
    if not found:
        return broken("pulumi", "not installed", "`make toolchain` installs it")
    version = run([found, "version"]).strip()
    if not version:
        return broken("pulumi", f"{found} does not start", "`make clean`, then `make toolchain`")
    return ok("pulumi", f"{version} at {found}")


def plugin_check(target: Target) -> Check:
    """Report whether the plugins of the pinned versions are installed."""
    versions = tomllib.loads((target.checkout.root / "toolchain" / "versions.toml").read_text(encoding="utf-8"))
    home = Path(target.environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    wanted = [f"{one['kind']}-{one['name']}-v{one['version']}" for one in versions["plugin"]]
    missing = [name for name in wanted if not (home / "plugins" / name).is_dir()]
    if missing:
        return broken("plugins", f"not in {home}: {', '.join(missing)}", "`make toolchain` installs them")
    return ok("plugins", ", ".join(wanted))


def backend_check(target: Target) -> Check:
    """Report where the state is, and whether it can be used."""
    url = target.environment.get("PULUMI_BACKEND_URL")
    if not url:
        return note("backend", "as logged in", "`pulumi whoami -v` shows it")
    if target.backend is None:
        return ok("backend", f"{url} (not checked: it is not a folder)")
    folder = target.backend.folder
    if not folder.exists():
        return note("backend", f"{url}: the folder does not exist yet", "`make up` creates it")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return broken("backend", f"{url}: not readable and writable", f"`sudo chown -R $USER {folder}`")
    return ok("backend", url)


def passphrase_check(target: Target) -> Check:
    """Report whether the passphrase is set, private, and the stack's."""
    try:
        found = decryption.configured(target.environment)
        decrypter = target.decrypter if found is not None else None
    except OperationError as error:
        return from_error("passphrase", error)
    where = decryption.source(target.environment)
    if found is None:
        return broken("passphrase", "none is set", 'eval "$(make -s env)", or `make up`, which creates one')
    file = target.environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if file and "PULUMI_CONFIG_PASSPHRASE" not in target.environment and Path(file).stat().st_mode & 0o077:
        return note("passphrase", f"{file} can be read by others", f"`chmod 600 {file}`")
    use = "decrypts the stack's secrets" if decrypter else "no secret of the stack needs it yet"
    return ok("passphrase", f"from {where}; {use}")


def lock_check(locks: Collection[Lock]) -> Check:
    """Report which process holds the stack, and whether it still exists."""
    for lock in locks:
        who = f"process {lock.pid} of {lock.user}@{lock.host}, since {lock.since}"
        if lock.is_stale:
            return note("lock", f"left by {who}, which no longer runs", "`make up` clears it, or `pulumi cancel`")
        return note("lock", f"held by {who}: an update runs")
    return ok("lock", "none")


def state_check(state: StackState) -> Check:
    """Report whether the last update was completed."""
    if state.pending:
        names = ", ".join(urn.rpartition("::")[2] for urn in state.pending)
        return note("state", f"an update was interrupted while it created {names}", "`make up` completes it")
    return ok("state", "nothing deployed" if state.is_empty else f"{len(state.resources)} resources")


def missing_images(state: StackState, engine: Engine) -> tuple[str, ...]:
    """Return the URNs of images that the state knows and the engine no longer has, for instance after a prune."""
    images = state.images
    if not images:
        return ()
    present = {tag for image in engine.images() for tag in image.tags}
    return tuple(urn for urn, name in images.items() if name not in present)


def image_check(state: StackState, engine: Engine) -> Check:
    """Report whether the images that were built still exist."""
    missing = missing_images(state, engine)
    if missing:
        names = ", ".join(urn.rpartition("::")[2] for urn in missing)
        return note("images", f"gone from the engine: {names}", "`make up` builds them again")
    return ok("images", f"{len(state.images)} built")


def service_check(engine: Engine, containers: Collection[Container], stack: str) -> Check:
    """Report whether the containers of the stack are healthy."""
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
    """Report whether volumes with the names of this stack's data belong to another stack or state."""
    foreign = leftovers.unknown_data(stack, state, volumes)
    if foreign:
        names = ", ".join(volume.name for volume in foreign)
        return broken(
            "volumes",
            f"{names}: not in this stack's state, so another stack's or left over; they are never adopted",
            "to keep the data, use the state that created them (PULUMI_BACKEND_URL and passphrase)",
            *(f"to start empty: `docker volume rm {volume.name}`" for volume in foreign),
        )
    return ok("volumes", f"{sum(volume.stack == stack for volume in volumes)} of this stack")


def stack_checks(target: Target, engine: Engine | None) -> tuple[Check, ...]:
    """Run all checks about Pulumi and the stack."""
    of_target = (pulumi_check, plugin_check, backend_check, passphrase_check, settings_check)
    checks = [check(target) for check in of_target]
    try:
        state = target.state()
    except OperationError as error:
        return (*checks, from_error("state", error))
    locks = target.backend.locks(target.checkout.project, target.stack) if target.backend else ()
    checks.append(lock_check(locks))
    if not any(not lock.is_stale for lock in locks):
        # While an update runs, what it is creating is not left over from another one.
        checks.append(state_check(state))
    if engine is None:
        return (*checks, unknown("services", "no engine answers"))
    with contextlib.suppress(OperationError):
        # Log lines may hold them; a wrong passphrase is a finding of its own.
        target.hide_secrets()
    containers = engine.containers(target.stack)
    return (
        *checks,
        image_check(state, engine),
        service_check(engine, containers, target.stack),
        telemetry.check(state.outputs, engine, containers, stack=target.stack),
        volume_check(target.stack, state, engine.volumes()),
    )
