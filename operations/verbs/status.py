"""`make status`: the services that a stack should have, as the engine sees them now."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

from operations.checks.drift import Condition, Difference, differences
from operations.checks.leftovers import Leftovers, divide, labelled
from operations.console import terminal
from operations.console.errors import OperationError
from operations.engine.protocol import Container, Engine, trouble
from operations.stack.state import StackState
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


def absent(difference: Difference) -> Service:
    """Return the details of a service that the engine does not have."""
    return Service(
        service=difference.service or "?",
        container=difference.name,
        image="",
        state=difference.words,
        restarts=0,
        memory=None,
        memory_limit=None,
        ports=(),
        since="",
        is_well=False,
    )


def services(engine: Engine, stack: str, state: StackState | None = None) -> tuple[Service, ...]:
    """Return the details of all containers of a stack, and of the services that the state knows besides.

    Without a state, whether one is missing or another state's is not known.
    """
    found = labelled(engine, stack)
    # Each statistic takes the engine a moment; one after the other would take seconds.
    with ThreadPoolExecutor(max_workers=8) as pool:
        details = list(pool.map(lambda container: service(engine, container), found.containers))
    ids = [container.id for container in found.containers]
    shown = {key: one for key, one in zip(ids, details, strict=True) if one is not None}
    if state is None:
        return tuple(shown.values())
    for container in divide(state, found).foreign.containers:
        if container.id in shown:
            shown[container.id] = replace(shown[container.id], state="of another state", is_well=False)
    for one in _differing(engine, found, state):
        if one.kind != "container" or not one.needed:
            continue
        if one.id not in shown:
            shown[one.id] = absent(one)
        elif one.condition is Condition.DISCONNECTED:
            shown[one.id] = replace(shown[one.id], state=one.words, is_well=False)
    return tuple(shown.values())


def _differing(engine: Engine, found: Leftovers, state: StackState) -> tuple[Difference, ...]:
    return differences(state, found, [volume.name for volume in engine.volumes()])


def missing(engine: Engine, stack: str, state: StackState) -> tuple[str, ...]:
    """Return the networks and volumes that the engine should have and does not, in words."""
    differing = _differing(engine, labelled(engine, stack), state)
    return tuple(str(one) for one in differing if one.kind != "container")


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


def _state(target: Target) -> tuple[StackState | None, str]:
    """Return the state; None when it cannot be read, with the reason."""
    try:
        return target.state(), ""
    except OperationError as error:
        return None, error.problem


def status(target: Target, *, as_json: bool) -> bool:
    """Show the services; return whether all that should run do, and are well."""
    engine = target.engine()
    state, unreadable = _state(target)
    found = services(engine, target.stack, state)
    gone = missing(engine, target.stack, state) if state else ()
    well = bool(found) and all(one.is_well for one in found) and not gone and state is not None
    if as_json:
        document = {"stack": target.stack, "well": well, "services": [asdict(one) for one in found]}
        terminal.say_json({**document, "missing": gone})
        return well
    if not found and not gone:
        terminal.say(f"stack {target.stack} is not up; `make up STACK={target.stack}` starts it")
        return False
    columns = ("service", "state", "since", "restarts", "memory", "ports", "container", "image")
    terminal.table(f"stack {target.stack}", columns, [_row(one) for one in found])
    for words in gone:
        terminal.say(words)
    if state is None:
        terminal.say(f"the state cannot be read, so it is not known what is missing: {unreadable}")
    used = sum(one.memory or 0 for one in found)
    terminal.say(f"memory of all: {terminal.size(used)}")
    return well
