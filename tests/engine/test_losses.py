"""What a collector acknowledged is stored despite faults; this needs no Docker, only a Go compiler once.

The configuration is a deployment's, except for batches that are as short as in development. `python -m benchmarks
losses` runs the same scenarios for longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import otel
from otel.profiles import LOW_LATENCY
from testbed.losses import queue_scenarios as queues
from testbed.losses import scenarios
from testbed.losses import version_scenarios as versions
from testbed.losses.accounts import Account
from testbed.losses.cases import Case
from testbed.losses.log_lines import LINES
from testbed.losses.rig import in_memory

pytestmark = pytest.mark.engine

SECONDS = 1.0
CONCURRENT = 3


DISK = 128 << 20
BEFORE_THE_FIRST_BATCH = "upgrade before the first batch"
CASES = {
    "outage": Case(scenario=scenarios.outage),
    "start in an outage": Case(scenario=scenarios.start_in_an_outage),
    "password": Case(scenario=scenarios.rotate),
    "other settings": Case(scenario=scenarios.reconfigure),
    "upgrade": Case(scenario=versions.upgrade, version="0.96.0"),
    # The old version adds the first request to its queue when it ends, and takes none out before.
    BEFORE_THE_FIRST_BATCH: Case(scenario=versions.upgrade, version="0.96.0"),
    "downgrade": Case(scenario=versions.downgrade),
    "refused downgrade": Case(scenario=versions.refused_downgrade),
    "end": Case(scenario=scenarios.end),
    "kills": Case(scenario=scenarios.kills),
    "kill in an outage": Case(scenario=scenarios.kill_in_an_outage, profile="signoz"),
    "Datadog exporter of 0.96.0": Case(scenario=scenarios.nothing, profile="clickhouse-prod", version="0.96.0"),
    "Datadog away": Case(scenario=scenarios.datadog_away, profile="clickhouse-prod"),
    "lost answers": Case(scenario=scenarios.lost_answers),
    "full queue": Case(scenario=queues.full_queue, queue_budget=otel.QueueBudget(outage_seconds=1)),
    "restart with a full queue": Case(
        scenario=queues.restart_with_a_full_queue, queue_budget=otel.QueueBudget(outage_seconds=1)
    ),
    "full disk": Case(scenario=queues.full_disk, disk=DISK),
    "full disk and kill": Case(scenario=queues.full_disk_and_kill, disk=DISK),
    "taken disk": Case(scenario=queues.taken_disk, disk=DISK),
    "restart on a taken disk": Case(scenario=queues.restart_on_a_taken_disk, disk=DISK),
    "damaged queue": Case(scenario=queues.damaged_queue),
    "control": Case(scenario=scenarios.kill_in_an_outage, change=in_memory),
}

Outcome = Callable[[str], tuple[Account, ...]]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """A function that returns a case's accounts. Cases run concurrently: they mostly wait."""
    with ThreadPoolExecutor(CONCURRENT) as pool:
        accounts = {
            name: pool.submit(
                case.run,
                tmp_path_factory.mktemp(name.replace(" ", "-")),
                seconds=SECONDS,
                batch=None if name == BEFORE_THE_FIRST_BATCH else LOW_LATENCY,
            )
            for name, case in CASES.items()
        }
        yield lambda name: accounts[name].result()
        pool.shutdown(cancel_futures=True)


def lost(accounts: tuple[Account, ...]) -> dict[tuple[str, str], int]:
    """Return how many acknowledged signals are missing, by backend and kind, where any are."""
    assert accounts
    assert all(one.acknowledged for one in accounts)
    return {(one.backend, one.what): one.lost for one in accounts if one.lost}


def twice(accounts: tuple[Account, ...]) -> int:
    """Return how many signals are stored more than once."""
    return sum(one.twice for one in accounts)


def received(accounts: tuple[Account, ...]) -> tuple[Account, ...]:
    """Return the accounts without lines of log files, which are never acknowledged."""
    return tuple(one for one in accounts if one.what != LINES)


@pytest.mark.parametrize(
    "case",
    [
        *("outage", "start in an outage", "password", "other settings", "end", "Datadog away"),
        "Datadog exporter of 0.96.0",
    ],
)
def test_what_is_acknowledged_is_stored(outcome: Outcome, case: str) -> None:
    assert lost(outcome(case)) == {}


@pytest.mark.parametrize("case", ["start in an outage", "password", "other settings", "end"])
def test_nothing_is_stored_twice_unless_an_answer_is_cut_off(outcome: Outcome, case: str) -> None:
    assert twice(outcome(case)) == 0


@pytest.mark.parametrize("case", ["kills", "kill in an outage", "upgrade", BEFORE_THE_FIRST_BATCH, "downgrade"])
def test_a_killed_or_upgraded_collector_loses_nothing_that_it_acknowledged(outcome: Outcome, case: str) -> None:
    assert lost(received(outcome(case))) == {}


def test_the_old_version_refuses_a_queue_of_the_default_one_and_nothing_is_lost(
    outcome: Outcome,
) -> None:
    assert lost(received(outcome("refused downgrade"))) == {}


@pytest.mark.parametrize("case", ["full queue", "restart with a full queue"])
def test_a_full_queue_refuses_signals_and_the_accepted_ones_are_stored(outcome: Outcome, case: str) -> None:
    accounts = outcome(case)

    assert sum(one.refusals for one in accounts) > 0
    assert lost(accounts) == {}


@pytest.mark.parametrize("case", ["full disk", "full disk and kill", "taken disk", "restart on a taken disk"])
def test_a_full_disk_refuses_signals_and_the_accepted_ones_are_stored(outcome: Outcome, case: str) -> None:
    accounts = outcome(case)

    assert sum(one.refusals for one in accounts) > 0
    assert lost(accounts) == {}


def test_signals_whose_answer_was_lost_are_stored_twice(outcome: Outcome) -> None:
    accounts = outcome("lost answers")

    assert lost(accounts) == {}
    assert twice(accounts) > 0


def test_a_damaged_queue_loses_its_content_and_nothing_else(outcome: Outcome) -> None:
    assert set(lost(outcome("damaged queue"))) == {("ClickHouse", "traces")}


def test_queues_in_memory_lose_acknowledged_signals(outcome: Outcome) -> None:
    """Show that these tests can see a loss: the control."""
    assert {what for _, what in lost(outcome("control"))} == {"traces", "metrics", "logs", LINES}
