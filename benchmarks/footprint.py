"""What an idle stack needs: memory per container, and the size of its images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from benchmarks.platform import BenchmarkStack, Platform
from benchmarks.report import Table
from benchmarks.samples import Samples
from catalogue import BASE_IMAGE_NAME, LETTA, SERVICE_LABEL
from operations.engine.answers import parse_memory

MEMORY_TARGET = "<= 1,000 MB"
LETTA_TARGET = "<= 700 MB"
_SETTLED = 0.01
_PAUSE_SECONDS = 5.0
_LONGEST_SECONDS = 120.0
_MB = 1e6


def measure(platform: Platform, rounds: int) -> list[Table]:
    """Measure an idle stack `rounds` times after its memory has settled."""
    stack = platform.up()
    with platform.progress.step("waiting until memory has settled"):
        _settle(stack)
    with platform.progress.step(f"reading memory, {rounds} times"):
        readings = []
        for _ in range(rounds):
            time.sleep(_PAUSE_SECONDS)
            readings.append(_memory(stack))
    services = sorted(readings[0], key=lambda service: -readings[0][service])
    rows = [_row(service, Samples.of(reading[service] / _MB for reading in readings), "") for service in services]
    rows.append(_row("all", Samples.of(sum(reading.values()) / _MB for reading in readings), MEMORY_TARGET))
    memory = Table(
        title="Idle memory of the full dev stack",
        columns=("container", "MB", "min-max", "target"),
        rows=tuple(rows),
        notes=("Without the reclaimable file cache, as in `docker stats`; 1 MB is 10^6 bytes.",),
    )
    references: Mapping[str, str] = stack.outputs()["images"]
    sizes = {short: platform.engine.images.get(reference).attrs["Size"] for short, reference in references.items()}
    base = sizes[BASE_IMAGE_NAME] / _MB
    images = Table(
        title="Image sizes",
        columns=("image", "MB", "target"),
        rows=tuple(
            (short, f"{size / _MB:,.0f}", LETTA_TARGET if short == LETTA.name else "")
            for short, size in sorted(sizes.items(), key=lambda item: -item[1])
        ),
        notes=(f"All but the collector's share the base image's {base:,.0f} MB, which are counted in each.",),
    )
    return [memory, images]


def _row(name: str, samples: Samples, target: str) -> tuple[str, str, str, str]:
    median, spread = samples.shown(0)
    return name, median, spread, target


def _memory(stack: BenchmarkStack) -> dict[str, int]:
    found = {}
    for container in stack.containers():
        statistics: Any = container.stats(stream=False)
        used = parse_memory(statistics)
        if used is not None:
            found[str(container.labels[SERVICE_LABEL])] = used
    return found


def _settle(stack: BenchmarkStack) -> None:
    """Wait until the jobs are gone and two readings in a row hardly differ."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    last: dict[str, int] = {}
    while time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        now = _memory(stack)
        before, after = sum(last.values()), sum(now.values())
        if now.keys() == last.keys() and abs(after - before) <= _SETTLED * after:
            return
        last = now
