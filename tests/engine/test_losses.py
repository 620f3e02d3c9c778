"""What a collector acknowledged is stored, whatever goes wrong; needs no Docker, only a compiler once.

The configuration is a deployment's, but for batches that are as short as in development. `python -m benchmarks
losses` tells the same stories at length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import otel
from otel.profiles import Batch
from testbed.losses import stories
from testbed.losses.accounts import Account
from testbed.losses.log_lines import LINES
from testbed.losses.rig import Rig, in_memory
from testbed.losses.stories import Story

pytestmark = pytest.mark.engine

SECONDS = 1.0
LOW_LATENCY = otel.PROFILES["clickhouse-dev"].batch
TOGETHER = 3


@dataclass(frozen=True, kw_only=True)
class Case:
    story: Story
    profile: str = "clickhouse"
    batch: Batch = LOW_LATENCY
    rig: dict[str, Any] = field(default_factory=dict)

    def tell(self, folder: Path) -> tuple[Account, ...]:
        profile = replace(otel.PROFILES[self.profile], batch=self.batch)
        with Rig(profile, folder=folder, **self.rig) as rig:
            self.story(rig, SECONDS)
            return rig.settle()


ON_A_DISK = {"disk": 128 << 20}
CASES = {
    "outage": Case(story=stories.outage),
    "start in an outage": Case(story=stories.start_in_an_outage),
    "password": Case(story=stories.rotate),
    "other settings": Case(story=stories.reconfigure),
    "upgrade": Case(story=stories.upgrade, rig={"version": "0.96.0"}),
    # The old version adds its first request to its queue when it ends, and takes none out before.
    "upgrade before the first batch": Case(
        story=stories.upgrade, rig={"version": "0.96.0"}, batch=otel.PROFILES["clickhouse"].batch
    ),
    "downgrade": Case(story=stories.downgrade),
    "refused downgrade": Case(story=stories.refused_downgrade),
    "end": Case(story=stories.end),
    "kills": Case(story=stories.kills),
    "kill in an outage": Case(story=stories.kill_in_an_outage, profile="signoz"),
    "Datadog exporter of 0.96.0": Case(
        story=stories.nothing, profile="clickhouse-prod", rig={"version": "0.96.0"}
    ),
    "Datadog away": Case(story=stories.datadog_away, profile="clickhouse-prod"),
    "lost answers": Case(story=stories.lost_answers),
    "full queue": Case(story=stories.full_queue, rig={"backlog": otel.QueueBudget(outage_seconds=1)}),
    "restart with a full queue": Case(
        story=stories.restart_with_a_full_queue, rig={"backlog": otel.QueueBudget(outage_seconds=1)}
    ),
    "full disk": Case(story=stories.full_disk, rig=ON_A_DISK),
    "full disk and kill": Case(story=stories.full_disk_and_kill, rig=ON_A_DISK),
    "taken disk": Case(story=stories.taken_disk, rig=ON_A_DISK),
    "restart on a taken disk": Case(story=stories.restart_on_a_taken_disk, rig=ON_A_DISK),
    "damaged queue": Case(story=stories.damaged_queue),
    "control": Case(story=stories.kill_in_an_outage, rig={"change": in_memory}),
}

Told = Callable[[str], tuple[Account, ...]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Give the accounts of a case. All are told at the same time: most of a story is waiting."""
    with ThreadPoolExecutor(TOGETHER) as pool:
        accounts = {
            name: pool.submit(case.tell, tmp_path_factory.mktemp(name.replace(" ", "-")))
            for name, case in CASES.items()
        }
        yield lambda name: accounts[name].result()
        pool.shutdown(cancel_futures=True)


def lost(accounts: tuple[Account, ...]) -> dict[tuple[str, str], int]:
    """Give how many acknowledged signals are missing, by backend and kind, where any are."""
    assert accounts
    assert all(one.acknowledged for one in accounts)
    return {(one.backend, one.what): one.lost for one in accounts if one.lost}


def twice(accounts: tuple[Account, ...]) -> int:
    """Give how many signals are stored more than once."""
    return sum(one.twice for one in accounts)


def received(accounts: tuple[Account, ...]) -> tuple[Account, ...]:
    """Leave out the lines of log files, which nobody acknowledges."""
    return tuple(one for one in accounts if one.what != LINES)


@pytest.mark.parametrize(
    "case",
    [
        *("outage", "start in an outage", "password", "other settings", "end", "Datadog away"),
        "Datadog exporter of 0.96.0",
    ],
)
def test_what_is_acknowledged_is_stored(told: Told, case: str) -> None:
    assert lost(told(case)) == {}


@pytest.mark.parametrize("case", ["start in an outage", "password", "other settings", "end"])
def test_nothing_is_stored_twice_where_no_answer_is_cut_off(told: Told, case: str) -> None:
    assert twice(told(case)) == 0


@pytest.mark.parametrize(
    "case", ["kills", "kill in an outage", "upgrade", "upgrade before the first batch", "downgrade"]
)
def test_a_killed_or_upgraded_collector_loses_nothing_that_it_acknowledged(told: Told, case: str) -> None:
    assert lost(received(told(case))) == {}


def test_a_queue_of_the_default_version_keeps_the_old_one_from_starting_and_loses_nothing(told: Told) -> None:
    assert lost(received(told("refused downgrade"))) == {}


@pytest.mark.parametrize("case", ["full queue", "restart with a full queue"])
def test_what_a_full_queue_does_not_take_is_refused_and_the_rest_is_stored(told: Told, case: str) -> None:
    accounts = told(case)

    assert sum(one.tries_again for one in accounts) > 0
    assert lost(accounts) == {}


@pytest.mark.parametrize("case", ["full disk", "full disk and kill", "taken disk", "restart on a taken disk"])
def test_a_full_disk_refuses_signals_and_loses_none_that_it_took(told: Told, case: str) -> None:
    accounts = told(case)

    assert sum(one.tries_again for one in accounts) > 0
    assert lost(accounts) == {}


def test_signals_whose_answer_was_lost_are_stored_again_and_counted(told: Told) -> None:
    accounts = told("lost answers")

    assert lost(accounts) == {}
    assert twice(accounts) > 0


def test_a_damaged_queue_costs_what_is_in_it_and_nothing_else(told: Told) -> None:
    assert set(lost(told("damaged queue"))) == {("ClickHouse", "traces")}


def test_queues_in_memory_lose_what_was_acknowledged_and_the_accounts_say_so(told: Told) -> None:
    """Show that a loss is seen: the others' control."""
    assert {what for _, what in lost(told("control"))} == {"traces", "metrics", "logs", LINES}
