"""From nothing to healthy: `pulumi up` compared with Docker Compose, with the same images and health checks."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import compose_project, compose_tool, engine_events, processes, timeline
from benchmarks.compose_tool import Compose
from benchmarks.engine_events import Milestones
from benchmarks.platform import COMPOSE_PROJECT_LABEL, Platform
from benchmarks.report import Table
from benchmarks.samples import Samples, against
from benchmarks.timeline import Span, Step
from catalogue import STACK_LABEL

TARGET = "<= 1.2x"
_ORDER = (*compose_project.SERVICES, "collector", "route")
_SHORT_STEP_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One start from nothing."""

    seconds: float
    milestones: Mapping[str, Milestones]
    path: tuple[Step, ...] = ()
    """The critical path; of ours only."""
    finished: float = 0.0
    """When the last resource was done; of ours only."""


def measure(platform: Platform, rounds: int) -> list[Table]:
    """Start both in turn, each from empty volumes while the other does not exist."""
    compose = compose_tool.find(platform.progress)
    stack = platform.up()  # builds the images, and shows what Compose has to run
    containers = {
        service: stack.containers(service, everything=True)[0].attrs for service in compose_project.SERVICES
    }
    folder = platform.folder / "compose"
    folder.mkdir(mode=0o700, exist_ok=True)
    compose_project.write_files(folder, password="0123456789abcdef" * 2)  # protects nothing
    document = compose_project.project(stack.stack, containers, folder)
    (folder / "compose.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    platform.down()
    ours: list[Run] = []
    theirs: list[Run] = []
    for number in range(1, rounds + 1):
        with platform.progress.step(f"from nothing to healthy, round {number} of {rounds}"):
            # The other one is first in each round.
            for is_ours in (True, False) if number % 2 else (False, True):
                run = _ours(platform) if is_ours else _theirs(platform, compose, folder)
                (ours if is_ours else theirs).append(run)
                platform.progress.say(f"{'ours' if is_ours else 'Compose'}: {run.seconds:.1f} s")
    return tables(compose.version, ours, theirs)


def tables(version: str, ours: list[Run], theirs: list[Run]) -> list[Table]:
    """Return the tables: the totals, each container, and where our time goes."""
    return [_totals(version, ours, theirs), _side_by_side(ours, theirs), _breakdown(ours)]


def _ours(platform: Platform) -> Run:
    stack = platform.stack
    log = platform.folder / f"events-{time.monotonic_ns()}.json"
    command = ["pulumi", "up", "--yes", "--skip-preview", "--stack", stack.stack, "--event-log", str(log)]
    # Without it the flag --event-log does not exist.
    environment = {**platform.shell, "PULUMI_DEBUG_COMMANDS": "true"}
    with (
        engine_events.watched(platform.engine, f"{STACK_LABEL}={stack.stack}") as watch,
        timeline.recorded(log) as recording,
    ):
        seconds = processes.timed(command, directory=stack.root, environment=environment)
    exported: dict[str, Any] = json.loads(stack.pulumi("stack", "export").output)
    worked = timeline.spans(recording.events)
    platform.down()
    return Run(
        seconds=seconds,
        milestones=watch.milestones(),
        path=timeline.critical_path(worked, timeline.dependencies(exported)),
        finished=max((span.end for span in worked.values()), default=0.0),
    )


def _theirs(platform: Platform, compose: Compose, folder: Path) -> Run:
    environment = platform.stack.environment
    command = [*compose.command, "--file", str(folder / "compose.yaml")]
    with engine_events.watched(platform.engine, f"{COMPOSE_PROJECT_LABEL}={platform.stack.stack}") as watch:
        try:
            seconds = processes.timed(
                [*command, "up", "--detach", "--wait"], directory=folder, environment=environment
            )
        except processes.CommandFailedError as error:
            _, log = processes.run([*command, "logs"], directory=folder, environment=environment)
            raise processes.CommandFailedError(f"{error}\n{log[-processes.SHOWN :]}") from None
    processes.timed([*command, "down", "--volumes"], directory=folder, environment=environment)
    return Run(seconds=seconds, milestones=watch.milestones())


def _totals(version: str, ours: list[Run], theirs: list[Run]) -> Table:
    our_seconds, their_seconds = (Samples.of(run.seconds for run in runs) for runs in (ours, theirs))
    return Table(
        title="From nothing to healthy",
        columns=("command", "seconds", "min-max", "ratio", "target"),
        rows=(
            (f"`compose up --detach --wait` ({version})", *their_seconds.shown(), "", ""),
            ("`pulumi up`", *our_seconds.shown(), *against(our_seconds, their_seconds, TARGET)),
        ),
        notes=(
            f"{len(ours)} interleaved rounds from empty volumes, with the images already built.",
            "Both have Postgres, roles, Redis, migration, server and nginx, with the same images, health checks,"
            " limits and hardening.",
            "Only ours starts a collector, checks that nginx has the route, separates networks into tiers, and"
            " fills volumes with secrets (Compose: one network, mounted files). Only ours starts the server at the"
            " same time as the migration.",
        ),
    )


def _side_by_side(ours: list[Run], theirs: list[Run]) -> Table:
    def times(runs: list[Run], service: str) -> tuple[str, ...]:
        found = [run.milestones[service] for run in runs if service in run.milestones]
        return tuple(
            _median([value for one in found if (value := getattr(one, moment)) is not None])
            for moment in ("created", "started", "ready")
        )

    services = [name for name in _ORDER if any(name in run.milestones for run in ours)]
    return Table(
        title="When each container was created, started and ready",
        columns=("container", "ours: created", "started", "ready", "Compose: created", "started", "ready"),
        rows=tuple((service, *times(ours, service), *times(theirs, service)) for service in services),
        notes=(
            "Medians of seconds since the command was started, from the engine's events. Ready: first healthy, or"
            " done.",
        ),
    )


def _median(values: list[float]) -> str:
    return f"{Samples.of(values).median:.1f}" if values else ""


def _breakdown(ours: list[Run]) -> Table:
    """Return the critical path of the median run; short steps are added up."""
    run = sorted(ours, key=lambda one: one.seconds)[(len(ours) - 1) // 2]
    rows: list[tuple[str, ...]] = []
    small = 0.0
    for number, step in enumerate(run.path):
        if number == 0:
            rows.append(("(before the first step: Pulumi and the program start)", _span(0.0, step.span.start)))
        elif step.waited > _SHORT_STEP_SECONDS:
            rows.append(("(between two steps)", _span(step.span.start - step.waited, step.span.start)))
        if step.span.seconds > _SHORT_STEP_SECONDS:
            rows.append((timeline.label(step.urn), _span(step.span.start, step.span.end)))
        else:
            small += step.span.seconds
    rows.append(("(after the last step: Pulumi exits)", _span(run.finished, run.seconds)))
    if small:
        rows.append((f"(steps shorter than {_SHORT_STEP_SECONDS} s, together)", f"{small:.1f}"))
    return Table(
        title="Where the time of `pulumi up` goes: its critical path",
        columns=("step", "seconds"),
        rows=tuple(rows),
        notes=("Each step began when the step above it ended, which was the last of its dependencies.",),
    )


def _span(start: float, end: float) -> str:
    span = Span(start=start, end=end)
    return f"{span.seconds:.1f} ({start:.1f} to {end:.1f})"
