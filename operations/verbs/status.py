"""`make status`: the services of a stack as the engine sees them now."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from operations.console import terminal
from operations.engine.protocol import Container, Engine, trouble
from operations.stack.target import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A container of a stack with its details."""

    service: str
    container: str
    image: str
    state: str
    """Healthy, starting, succeeded, or what is wrong."""
    restarts: int
    memory: int | None
    """Bytes in use."""
    memory_limit: int | None
    """Bytes."""
    ports: tuple[str, ...]
    since: str
    is_well: bool


def service(engine: Engine, container: Container) -> Service | None:
    """Return the details of a container; None for a file bundle, or when it has been removed meanwhile."""
    if container.holds_files_only:
        return None
    inspection = engine.inspect(container.id)
    if inspection is None:
        return None
    wrong = trouble(container, inspection)
    done = container.state == "exited" and inspection.is_job
    well = "succeeded" if done else container.health or container.state
    return Service(
        service=container.service or "?",
        container=container.name,
        image=container.image,
        state=wrong or well,
        restarts=inspection.restarts,
        memory=engine.memory_used(container.id) if container.state == "running" else None,
        memory_limit=inspection.memory_limit or None,
        ports=tuple(f"{port.address}:{port.port} → {port.internal}" for port in container.published),
        since=container.status,
        is_well=wrong is None,
    )


def services(engine: Engine, stack: str) -> tuple[Service, ...]:
    """Return the details of all containers of a stack."""
    containers = engine.containers(stack)
    # Each statistic takes the engine a moment; one after the other would take seconds.
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = pool.map(lambda container: service(engine, container), containers)
        return tuple(one for one in found if one is not None)


def _row(one: Service) -> Sequence[str]:
    memory = terminal.size(one.memory) if one.memory is not None else ""
    limit = f" of {terminal.size(one.memory_limit)}" if memory and one.memory_limit else ""
    return (
        one.service,
        one.state,
        one.since,
        str(one.restarts or ""),
        memory + limit,
        "\n".join(one.ports),
        one.container,
        one.image,
    )


def status(target: Target, *, as_json: bool) -> bool:
    """Show the services; return whether all are well."""
    found = services(target.engine(), target.stack)
    well = bool(found) and all(one.is_well for one in found)
    if as_json:
        terminal.say_json({"stack": target.stack, "well": well, "services": [asdict(one) for one in found]})
        return well
    if not found:
        terminal.say(f"stack {target.stack} is not up; `make up STACK={target.stack}` starts it")
        return False
    columns = ("service", "state", "since", "restarts", "memory", "ports", "container", "image")
    terminal.table(f"stack {target.stack}", columns, [_row(one) for one in found])
    used = sum(one.memory or 0 for one in found)
    terminal.say(f"memory of all: {terminal.size(used)}")
    return well
