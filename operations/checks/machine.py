"""Checks the machine and its engine: reachable, disk, memory, processors, ports, clock.

`make up` runs the quick ones before it changes anything, `make doctor` all.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import catalogue
from operations.checks import ports
from operations.checks.ports import WantedPort
from operations.checks.result import Check, broken, note, ok, unknown
from operations.console.terminal import size
from operations.engine.protocol import Container, Engine, EngineFacts
from settings import Settings, cpu_limits, memory_limits, published_ports

GB = 1_000_000_000
DISK_REFUSED = 2 * GB
"""Free bytes below which not even an update of a built stack is safe to start."""
DISK_WANTED = 10 * GB
"""Free bytes for a first `make up`: images, build cache and, where they must be built, the tools."""
MEMORY_REFUSED = 1_500_000_000
"""Bytes below which the server alone does not start."""
POSTGRES_SHARED = 4
"""Which part of its memory limit PostgreSQL reserves when it starts (`components.postgres.tuning`): a quarter."""
OLDEST_ENGINE = (20, 10)
CLOCK_TOLERANCE_SECONDS = 30.0


def engine_check(engine: Engine | None, facts: EngineFacts | None, why: str = "") -> Check:
    """Report whether an engine answers, and whether it is new enough."""
    if engine is None or facts is None:
        return broken(
            "engine",
            f"no Docker engine answers{': ' + why if why else ''}",
            "start Docker Desktop, or `systemctl start docker`",
            "not installed: `make toolchain` installs it on Debian as root; elsewhere see Docker's instructions",
            "permission denied: join the group: `sudo usermod -aG docker $USER`, then log in again",
        )
    said = f"{facts.version} at {engine.address}, {facts.storage_driver}, {facts.operating_system}"
    numbers = tuple(int(part) for part in facts.version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_ENGINE:
        return broken("engine", said, "update Docker: at least 20.10 is needed")
    return ok("engine", said)


def disk_check(name: str, path: Path, *, free: int | None = None) -> Check:
    """Report the free space where `path` is, or its nearest folder that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    free = shutil.disk_usage(path).free if free is None else free
    said = f"{size(free)} free at {path}"
    fix = ("`make clean`, `docker system df`, or a larger disk",)
    if free < DISK_REFUSED:
        return broken(name, f"{said}; at least {size(DISK_REFUSED)} are needed", *fix)
    if free < DISK_WANTED:
        return note(name, f"{said}; a first `make up` needs {size(DISK_WANTED)}", *fix)
    return ok(name, said)


def memory_check(settings: Settings, total: int, available: int | None) -> Check:
    """Compare the engine's memory, in bytes, with what the stack's services may take."""
    wanted = sum(memory_limits(settings).values()) * 1024 * 1024
    said = f"{size(total)}{f', {size(available)} available' if available is not None else ''}"
    if total < MEMORY_REFUSED:
        return broken(
            "memory", f"{said}; at least {size(MEMORY_REFUSED)} are needed", "give the engine more memory"
        )
    if total < wanted:
        return note(
            "memory",
            f"{said}; the services' limits add up to {size(wanted)}",
            "give the engine more memory, or lower the `…MemoryMb` settings",
        )
    return ok("memory", f"{said}; the services' limits add up to {size(wanted)}")


def available_memory() -> int | None:
    """Return the memory of this machine that programs could take now, in bytes."""
    import psutil

    return int(psutil.virtual_memory().available)


def cpu_check(count: int) -> Check:
    """Report the number of processors of the engine."""
    if count < 2:
        return note("cpu", f"{count}; builds and starts are slow", "two or more are recommended")
    return ok("cpu", str(count))


def limit_checks(stack: str, settings: Settings, facts: EngineFacts) -> tuple[Check, ...]:
    """Report limits with which the engine creates no container, or a service does not start."""
    checks = [
        broken(
            f"cpu ({key})",
            f"letta:{key} is {limit:g}, and the engine, which has {facts.cpus} CPUs, creates no such container",
            f"`pulumi config set letta:{key} {facts.cpus} --stack {stack}`",
        )
        for key, limit in cpu_limits(settings).items()
        if limit > facts.cpus
    ]
    key = catalogue.POSTGRES.memory
    shared = int(settings.value(key)) // POSTGRES_SHARED * 1024 * 1024
    if shared > facts.memory:
        checks.append(
            broken(
                f"memory ({key})",
                f"PostgreSQL takes a quarter of letta:{key} at its start: {size(shared)}, and the engine has "
                f"{size(facts.memory)}",
                f"`pulumi config set letta:{key} {facts.memory // 1024 // 1024 // 2} --stack {stack}`",
            )
        )
    return tuple(checks)


def wanted_ports(settings: Settings) -> tuple[WantedPort, ...]:
    """Return the ports that a stack with these settings publishes."""
    address = settings.bind_address
    return tuple(
        WantedPort(key=key, address=address, port=port) for key, port in published_ports(settings).items()
    )


def port_checks(
    stack: str, settings: Settings, containers: Collection[Container], *, local: bool = True
) -> tuple[Check, ...]:
    """Report who holds the ports of a stack."""
    found = ports.check(stack, wanted_ports(settings), containers, local=local)
    checks: list[Check] = []
    for finding in found:
        wanted = finding.wanted
        name = f"port {wanted.port}"
        if finding.state in {ports.PortState.TAKEN, ports.PortState.UNUSABLE}:
            verb = "is held by" if finding.state is ports.PortState.TAKEN else "cannot be used:"
            detail = f"{wanted.address}:{wanted.port} ({wanted.key}) {verb} {finding.holder}"
            checks.append(broken(name, detail, *finding.fix))
        else:
            by = f"this stack's {finding.holder}" if finding.state is ports.PortState.OURS else "free"
            checks.append(ok(name, f"{wanted.key}: {by}"))
    return tuple(checks)


def clock_check(now: datetime, others: Sequence[tuple[str, datetime]]) -> Check:
    """Compare the clock with others; a wrong one breaks TLS, signatures and the order of traces."""
    if not others:
        return unknown("clock", "nothing to compare it with")
    who, time = max(others, key=lambda other: abs((now - other[1]).total_seconds()))
    off = (now - time).total_seconds()
    if abs(off) > CLOCK_TOLERANCE_SECONDS:
        return broken(
            "clock",
            f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} {who}",
            "set it: `timedatectl set-ntp true`; with Docker Desktop or WSL after sleep: restart it",
        )
    return ok("clock", f"within {CLOCK_TOLERANCE_SECONDS:.0f} s of {', '.join(name for name, _ in others)}")


def engine_time(facts: EngineFacts) -> datetime | None:
    """Return the engine's time, whose clock in a virtual machine is not this one; None when it cannot be read."""
    text = facts.time
    head, dot, fraction = text.partition(".")
    if dot:
        # Nanoseconds are more than Python reads.
        zone = "Z" if text.endswith("Z") else fraction[-6:]
        text = head + zone
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        return None


def quick(stack: str, settings: Settings, engine: Engine | None, folders: Mapping[str, Path]) -> tuple[Check, ...]:
    """Run the checks of `make up` before it changes anything; they work without an engine, too."""
    containers = engine.containers() if engine else ()
    local = engine is None or engine.is_local
    return (
        *(limit_checks(stack, settings, engine.facts()) if engine else ()),
        *port_checks(stack, settings, containers, local=local),
        *(disk_check(f"disk ({name})", path) for name, path in folders.items()),
    )
