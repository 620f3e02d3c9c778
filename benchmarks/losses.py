"""What is lost when something fails, counted by sequence numbers (`testbed.losses`).

Needs no stack: collectors run as processes. Each fault has its own collector, backends and folders.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import otel
from benchmarks.report import Table
from testbed.collector import program
from testbed.losses import queue_scenarios as queues
from testbed.losses import scenarios
from testbed.losses import version_scenarios as versions
from testbed.losses.accounts import Account
from testbed.losses.cases import Case
from testbed.losses.rig import in_memory
from toolchain.progress import Progress

LONG, SHORT = 120.0, 15.0
"""Seconds that a fault lasts."""
CONCURRENT = 3
"""How many faults run at the same time: they mostly wait."""
OLD = versions.OLD


@dataclass(frozen=True, kw_only=True)
class Row(Case):
    """A case with its name in the tables."""

    name: str
    seconds: float = SHORT

    def result(self) -> tuple[Account, ...] | str:
        """Run the case, and return its accounts, or why it failed."""
        with tempfile.TemporaryDirectory(prefix="letta-platform-losses-") as folder:
            try:
                return self.run(Path(folder), seconds=self.seconds)
            except (RuntimeError, TimeoutError) as error:
                return f"failed: {str(error).splitlines()[-1]}"


_TINY = otel.QueueBudget(outage_seconds=1)
_DISK = 128 << 20
_DOWN = f"ClickHouse down for {LONG:.0f} s"
_KILLS = f"SIGKILL, {scenarios.KILLS} times"

GUARANTEED = (
    Row(name="no fault", scenario=scenarios.nothing),
    Row(name=_DOWN, scenario=scenarios.outage, seconds=LONG),
    Row(name=f"SigNoz down for {LONG:.0f} s", scenario=scenarios.outage, seconds=LONG, profile="signoz"),
    Row(
        name=f"Datadog down for {LONG:.0f} s, ClickHouse not affected",
        scenario=scenarios.datadog_away,
        seconds=LONG,
        profile="clickhouse-prod",
    ),
    Row(
        name="ClickHouse down, Datadog not affected",
        scenario=scenarios.clickhouse_away,
        profile="clickhouse-prod",
    ),
    Row(name=_KILLS, scenario=scenarios.kills),
    Row(name=_KILLS, scenario=scenarios.kills, profile="signoz"),
    Row(name=_KILLS, scenario=scenarios.kills, profile="clickhouse-prod"),
    Row(name="SIGKILL in an outage", scenario=scenarios.kill_in_an_outage),
    Row(name="SIGKILL in an outage", scenario=scenarios.kill_in_an_outage, profile="signoz"),
    Row(name="SIGTERM in an outage, then started", scenario=scenarios.restart_in_an_outage),
    Row(name="SIGTERM right after the last signal, then started", scenario=scenarios.end),
    Row(name="started while ClickHouse is down", scenario=scenarios.start_in_an_outage),
    Row(name="ClickHouse slow: answers after 1 s", scenario=scenarios.slow),
    Row(name="ClickHouse too slow: answers after 12 s", scenario=scenarios.too_slow),
    Row(name="ClickHouse stores, and its answer is lost", scenario=scenarios.lost_answers),
    Row(name="queue full in an outage", scenario=queues.full_queue, queue_budget=_TINY),
    Row(
        name="queue full in an outage, SIGTERM, then started",
        scenario=queues.restart_with_a_full_queue,
        queue_budget=_TINY,
    ),
    Row(name="queue's disk full in an outage", scenario=queues.full_disk, disk=_DISK),
    Row(
        name="queue's disk full in an outage, SIGKILL, then started",
        scenario=queues.full_disk_and_kill,
        disk=_DISK,
    ),
    Row(name="queue's disk full, including the reserve", scenario=queues.taken_disk, disk=_DISK),
    Row(
        name="queue's disk full, including the reserve, SIGTERM, started with free space",
        scenario=queues.restart_on_a_taken_disk,
        disk=_DISK,
    ),
    Row(name="SIGKILL in an outage, and again while starting", scenario=scenarios.kills_while_starting),
    Row(name="restarted with other settings", scenario=scenarios.reconfigure),
    Row(name="ClickHouse's password rotated", scenario=scenarios.rotate),
    Row(name="0.96.0, then 0.149.0", scenario=versions.upgrade, version=OLD),
    Row(name="0.149.0, then 0.96.0, then 0.149.0", scenario=versions.downgrade),
    Row(
        name="0.149.0, SIGTERM in an outage, refused by 0.96.0, then 0.149.0",
        scenario=versions.refused_downgrade,
    ),
)
CONTROL = (
    Row(name=_DOWN, scenario=scenarios.outage, seconds=LONG, change=in_memory),
    Row(name=_KILLS, scenario=scenarios.kills, change=in_memory),
    Row(name="SIGKILL in an outage", scenario=scenarios.kill_in_an_outage, change=in_memory),
    Row(name="SIGTERM in an outage, then started", scenario=scenarios.restart_in_an_outage, change=in_memory),
)
NOT_GUARANTEED = (
    Row(name="0.96.0, SIGTERM in an outage, then 0.149.0", scenario=versions.upgrade_in_an_outage, version=OLD),
    Row(name="spans' queue overwritten from the third page on", scenario=queues.damaged_queue),
    Row(name="spans' queue overwritten completely", scenario=queues.destroyed_queue),
    Row(name="SIGTERM right after the last signal", scenario=scenarios.end, profile="file"),
    Row(name=_KILLS, scenario=scenarios.kills, profile="file"),
    Row(name=_KILLS, scenario=scenarios.kills, profile="file", version=OLD),
    Row(name=_DOWN, scenario=scenarios.outage, seconds=LONG, version=OLD),
    Row(name=_KILLS, scenario=scenarios.kills, version=OLD),
    Row(
        name="Datadog down, ClickHouse not affected",
        scenario=scenarios.datadog_away,
        profile="clickhouse-prod",
        version=OLD,
    ),
)
_COLUMNS = (
    "fault", "profile", "version", "stored in", "signal", "sent", "acknowledged", "stored", "lost",
    "stored twice", "never acknowledged", "requests refused",
)  # fmt: skip


def measure(progress: Progress, rounds: int) -> list[Table]:
    """Run each fault `rounds` times, each time in rows of its own."""
    for version in otel.VERSIONS:
        program(version)
    titles = {
        "Guaranteed: nothing acknowledged is lost": GUARANTEED,
        "Control: the same configuration with its queues in memory": CONTROL,
        "Not guaranteed": NOT_GUARANTEED,
    }
    return [table(title, one * rounds, progress) for title, one in titles.items()]


def table(title: str, rows: tuple[Row, ...], progress: Progress) -> Table:
    """Run the rows, some at a time, and return the table of their accounts."""
    with progress.step(title), ThreadPoolExecutor(CONCURRENT) as pool:
        results = []
        for row, result in zip(rows, pool.map(Row.result, rows), strict=True):
            progress.say(f"{row.name}, {row.profile} {row.version}: {_short(result)}")
            results.append((row, result))
    return Table(title=title, columns=_COLUMNS, rows=tuple(cells for one in results for cells in _cells(*one)))


def _cells(row: Row, result: tuple[Account, ...] | str) -> Iterator[tuple[str, ...]]:
    where = (row.name, row.profile, row.version)
    if isinstance(result, str):
        yield (*where, result, *[""] * (len(_COLUMNS) - len(where) - 1))
        return
    for one in result:
        counts = (
            one.sent, one.acknowledged, one.stored, one.lost, one.twice, one.unacknowledged, one.refusals,
        )  # fmt: skip
        yield (*where, one.backend, one.what, *(f"{count:,}" for count in counts))


def _short(result: tuple[Account, ...] | str) -> str:
    if isinstance(result, str):
        return result
    lost, sent = sum(one.lost for one in result), sum(one.acknowledged for one in result)
    return f"{lost:,} of {sent:,} lost"
