"""What is lost when something goes wrong, counted by sequence numbers (`testbed.losses`).

Needs no stack: collectors run as processes. Each fault has a collector, backends and folders of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import otel
from benchmarks.report import Table
from testbed.collector import program
from testbed.losses import stories
from testbed.losses.accounts import Account
from testbed.losses.rig import Rig, in_memory
from testbed.losses.stories import Story
from toolchain.progress import Progress

LONG, SHORT = 120.0, 15.0
"""Seconds of what goes wrong."""
OLD = "0.96.0"
TOGETHER = 3
"""How many faults are shown at the same time: most of it is waiting."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A story, and the rig that it is told on; what is not named is as in a deployment."""

    name: str
    story: Story
    profile: str = "clickhouse"
    version: str = otel.DEFAULT_VERSION
    seconds: float = SHORT
    rig: dict[str, Any] = field(default_factory=dict)

    def play(self) -> tuple[Account, ...] | str:
        """Give what became of the signals, or why the story came to no end."""
        with tempfile.TemporaryDirectory(prefix="letta-platform-losses-") as folder:
            try:
                with Rig(
                    otel.PROFILES[self.profile], folder=Path(folder), version=self.version, **self.rig
                ) as rig:
                    self.story(rig, self.seconds)
                    return rig.settle()
            except (RuntimeError, TimeoutError) as error:
                return f"came to no end: {str(error).splitlines()[-1]}"


_TINY = otel.QueueBudget(outage_seconds=1)
_SMALL_DISK = {"disk": 128 << 20}
_IN_MEMORY = {"change": in_memory}
_DOWN = f"ClickHouse down for {LONG:.0f} s"
_KILLS = f"SIGKILL, {stories.KILLS} times"

PROMISED = (
    Scenario(name="nothing goes wrong", story=stories.nothing),
    Scenario(name=_DOWN, story=stories.outage, seconds=LONG),
    Scenario(name=f"SigNoz down for {LONG:.0f} s", story=stories.outage, seconds=LONG, profile="signoz"),
    Scenario(
        name=f"Datadog down for {LONG:.0f} s, ClickHouse not held up",
        story=stories.datadog_away,
        seconds=LONG,
        profile="clickhouse-prod",
    ),
    Scenario(
        name="ClickHouse down, Datadog not held up", story=stories.clickhouse_away, profile="clickhouse-prod"
    ),
    Scenario(name=_KILLS, story=stories.kills),
    Scenario(name=_KILLS, story=stories.kills, profile="signoz"),
    Scenario(name=_KILLS, story=stories.kills, profile="clickhouse-prod"),
    Scenario(name="SIGKILL in an outage", story=stories.kill_in_an_outage),
    Scenario(name="SIGKILL in an outage", story=stories.kill_in_an_outage, profile="signoz"),
    Scenario(name="SIGTERM in an outage, then started", story=stories.restart_in_an_outage),
    Scenario(name="SIGTERM right after the last signal, then started", story=stories.end),
    Scenario(name="started while ClickHouse is down", story=stories.start_in_an_outage),
    Scenario(name="ClickHouse slow: a second for an answer", story=stories.slow),
    Scenario(name="ClickHouse too slow: 12 s for an answer", story=stories.too_slow),
    Scenario(name="ClickHouse stores, and its answer is lost", story=stories.lost_answers),
    Scenario(name="queue full in an outage", story=stories.full_queue, rig={"backlog": _TINY}),
    Scenario(
        name="the same, SIGTERM, then started", story=stories.restart_with_a_full_queue, rig={"backlog": _TINY}
    ),
    Scenario(name="queue's disk full in an outage", story=stories.full_disk, rig=_SMALL_DISK),
    Scenario(name="the same, SIGKILL, then started", story=stories.full_disk_and_kill, rig=_SMALL_DISK),
    Scenario(name="queue's disk full, the reserve taken, too", story=stories.taken_disk, rig=_SMALL_DISK),
    Scenario(
        name="the same, SIGTERM, started when there is room",
        story=stories.restart_on_a_taken_disk,
        rig=_SMALL_DISK,
    ),
    Scenario(name="SIGKILL in an outage, again while it starts", story=stories.kills_while_starting),
    Scenario(name="restarted with other settings", story=stories.reconfigure),
    Scenario(name="ClickHouse's password rotated", story=stories.rotate),
    Scenario(name="0.96.0, then 0.149.0", story=stories.upgrade, version=OLD),
    Scenario(name="0.149.0, then 0.96.0, then 0.149.0", story=stories.downgrade),
    Scenario(
        name="0.149.0, SIGTERM in an outage, refused by 0.96.0, then 0.149.0", story=stories.refused_downgrade
    ),
)
CONTROL = (
    Scenario(name=_DOWN, story=stories.outage, seconds=LONG, rig=_IN_MEMORY),
    Scenario(name=_KILLS, story=stories.kills, rig=_IN_MEMORY),
    Scenario(name="SIGKILL in an outage", story=stories.kill_in_an_outage, rig=_IN_MEMORY),
    Scenario(name="SIGTERM in an outage, then started", story=stories.restart_in_an_outage, rig=_IN_MEMORY),
)
NOT_PROMISED = (
    Scenario(name="0.96.0, SIGTERM in an outage, then 0.149.0", story=stories.upgrade_in_an_outage, version=OLD),
    Scenario(name="spans' queue damaged: nonsense from the third page on", story=stories.damaged_queue),
    Scenario(name="spans' queue damaged: nonsense all over", story=stories.destroyed_queue),
    Scenario(name="SIGTERM right after the last signal", story=stories.end, profile="file"),
    Scenario(name=_KILLS, story=stories.kills, profile="file"),
    Scenario(name=_KILLS, story=stories.kills, profile="file", version=OLD),
    Scenario(name=_DOWN, story=stories.outage, seconds=LONG, version=OLD),
    Scenario(name=_KILLS, story=stories.kills, version=OLD),
    Scenario(
        name="Datadog down, ClickHouse not held up",
        story=stories.datadog_away,
        profile="clickhouse-prod",
        version=OLD,
    ),
)
_COLUMNS = (
    "what goes wrong", "profile", "version", "stored in", "signal", "sent", "acknowledged", "stored", "lost",
    "stored twice", "never acknowledged", "requests refused",
)  # fmt: skip


def measure(progress: Progress, rounds: int) -> list[Table]:
    """Show each fault `rounds` times, each time in rows of its own."""
    for version in otel.VERSIONS:
        program(version)
    titles = {
        "Promised: nothing acknowledged is lost": PROMISED,
        "Control: the same configuration with its queues in memory": CONTROL,
        "Not promised": NOT_PROMISED,
    }
    return [table(title, one * rounds, progress) for title, one in titles.items()]


def table(title: str, scenarios: tuple[Scenario, ...], progress: Progress) -> Table:
    """Play, some at a time, and write what became of each signal."""
    with progress.step(title), ThreadPoolExecutor(TOGETHER) as pool:
        told = []
        for scenario, result in zip(scenarios, pool.map(Scenario.play, scenarios), strict=True):
            progress.say(f"{scenario.name}, {scenario.profile} {scenario.version}: {_short(result)}")
            told.append((scenario, result))
    return Table(title=title, columns=_COLUMNS, rows=tuple(row for one in told for row in _rows(*one)))


def _rows(scenario: Scenario, result: tuple[Account, ...] | str) -> Iterator[tuple[str, ...]]:
    where = (scenario.name, scenario.profile, scenario.version)
    if isinstance(result, str):
        yield (*where, result, *[""] * (len(_COLUMNS) - len(where) - 1))
        return
    for one in result:
        counts = (
            one.sent, one.acknowledged, one.stored, one.lost, one.twice, one.unacknowledged, one.tries_again,
        )  # fmt: skip
        yield (*where, one.backend, one.what, *(f"{count:,}" for count in counts))


def _short(result: tuple[Account, ...] | str) -> str:
    if isinstance(result, str):
        return result
    lost, sent = sum(one.lost for one in result), sum(one.acknowledged for one in result)
    return f"{lost:,} of {sent:,} lost"
