"""What is lost when something goes wrong, counted by sequence numbers (`tests.support.losses`).

Needs no stack: collectors run as processes. Faults are shown one after the other; each has a collector, backends
and folders of its own.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import otel
from benchmarks.report import Table
from tests.support.losses import stories
from tests.support.losses.accounts import Account
from tests.support.losses.rig import Rig
from tests.support.losses.stories import Story
from toolchain.progress import Progress

LONG = 120.0
"""Seconds of an outage."""
SHORT = 20.0
OLD = "0.96.0"
TOGETHER = 3
"""How many faults are shown at the same time: most of it is waiting."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A story, and what it is told on. What is not named is as in a deployment."""

    name: str
    story: Story
    profile: str = "clickhouse"
    version: str = otel.DEFAULT_VERSION
    seconds: float = SHORT
    rig: dict[str, Any] = field(default_factory=dict)

    def play(self) -> tuple[Account, ...] | str:
        """Tell it, and give the accounts; or the error's first line if it came to no end."""
        with tempfile.TemporaryDirectory(prefix="letta-platform-losses-") as folder:
            try:
                with Rig(
                    otel.PROFILES[self.profile], folder=Path(folder), version=self.version, **self.rig
                ) as rig:
                    self.story(rig, self.seconds)
                    return rig.settle()
            except (RuntimeError, TimeoutError) as error:
                return f"{type(error).__name__}: {error}".splitlines()[0]


_TINY = otel.Backlog(outage_seconds=1)
_SMALL_DISK = 24 << 20

PROMISED = (
    Scenario(name="nothing", story=stories.nothing),
    Scenario(name="ClickHouse down for 120 s", story=stories.outage, seconds=LONG),
    Scenario(name="SigNoz down for 120 s", story=stories.outage, seconds=LONG, profile="signoz"),
    Scenario(name="both down for 120 s", story=stories.outage, seconds=LONG, profile="clickhouse-prod"),
    Scenario(
        name="Datadog down for 120 s, ClickHouse not",
        story=stories.datadog_away,
        seconds=LONG,
        profile="clickhouse-prod",
    ),
    Scenario(
        name="ClickHouse down for 120 s, Datadog not",
        story=stories.clickhouse_away,
        seconds=LONG,
        profile="clickhouse-prod",
    ),
    Scenario(name="SIGKILL, 3 times", story=stories.kills),
    Scenario(name="SIGKILL, 3 times", story=stories.kills, profile="signoz"),
    Scenario(name="SIGKILL, 3 times", story=stories.kills, profile="clickhouse-prod"),
    Scenario(name="SIGKILL in an outage", story=stories.kill_in_an_outage),
    Scenario(name="SIGKILL in an outage", story=stories.kill_in_an_outage, profile="signoz"),
    Scenario(name="SIGTERM in an outage, restarted", story=stories.restart_in_an_outage),
    Scenario(name="SIGTERM after the last signal, restarted", story=stories.end),
    Scenario(name="ClickHouse slow: 1 s an answer", story=stories.slow),
    Scenario(name="ClickHouse too slow: 12 s an answer", story=stories.too_slow),
    Scenario(name="ClickHouse stores, its answer is lost", story=stories.lost_answers),
    Scenario(name="queue full", story=stories.full_queue, rig={"backlog": _TINY}),
    Scenario(name="disk of the queue full", story=stories.full_queue, rig={"disk": _SMALL_DISK}),
    Scenario(name="other settings, under load", story=stories.reconfigure),
    Scenario(name="ClickHouse's password rotated, under load", story=stories.rotate),
    Scenario(name="started while ClickHouse is down", story=stories.start_in_an_outage),
)
CONTROL = (
    Scenario(name="ClickHouse down for 120 s", story=stories.outage, seconds=LONG, rig={"on_disk": False}),
    Scenario(name="SIGKILL, 3 times", story=stories.kills, rig={"on_disk": False}),
    Scenario(name="SIGKILL in an outage", story=stories.kill_in_an_outage, rig={"on_disk": False}),
    Scenario(
        name="SIGTERM in an outage, restarted", story=stories.restart_in_an_outage, rig={"on_disk": False}
    ),
)
NOT_PROMISED = (
    Scenario(name="SIGKILL while it starts, 3 times", story=stories.kills_while_starting),
    Scenario(name="file of the spans' queue damaged", story=stories.damaged_queue),
    Scenario(name="SIGTERM after the last signal, restarted", story=stories.end, profile="file"),
    Scenario(name="SIGKILL, 3 times", story=stories.kills, profile="file"),
    Scenario(name="SIGKILL, 3 times", story=stories.kills, profile="file", version=OLD),
    Scenario(name="ClickHouse down for 120 s", story=stories.outage, seconds=LONG, version=OLD),
    Scenario(name="SIGKILL, 3 times", story=stories.kills, version=OLD),
    Scenario(name="SIGTERM in an outage, then 0.149.0", story=stories.upgrade, version=OLD),
    Scenario(
        name="Datadog down for 20 s, ClickHouse not",
        story=stories.datadog_away,
        profile="clickhouse-prod",
        version=OLD,
    ),
)


def measure(progress: Progress, rounds: int) -> list[Table]:
    """Show each fault `rounds` times, and add up."""
    return [
        _table("Promised: nothing acknowledged is lost", PROMISED, progress, rounds),
        _table("Control: the same with queues in memory", CONTROL, progress, rounds),
        _table("Not promised", NOT_PROMISED, progress, rounds),
    ]


def _table(title: str, scenarios: tuple[Scenario, ...], progress: Progress, rounds: int) -> Table:
    return Table(title=title, columns=(), rows=())
