"""Scenarios of backends that fail and collectors that are killed or restarted."""

from __future__ import annotations

import otel
from testbed.clickhouse.server import Fault
from testbed.losses.rig import Rig
from testbed.polling import wait_until

KILLS = 3
LONGEST_WAIT = 60.0
RETRIEVING = "Fetching items left for dispatch by consumers"
"""What the collector logs when it starts to put back the items that were being sent when it was killed."""
TIMED_OUT = 12.0
"""Seconds for an answer, longer than the exporter's timeout."""


def nothing(rig: Rig, seconds: float) -> None:
    """Send for a while."""
    rig.begin()
    rig.keep_sending(seconds)


def outage(rig: Rig, seconds: float) -> None:
    """Take all backends down and bring them back."""
    rig.begin()
    with rig.away():
        rig.keep_sending(seconds)
    rig.keep_sending()


def kills(rig: Rig, _: float) -> None:
    """Kill the collector while it receives and delivers signals."""
    rig.begin()
    for _kill in range(KILLS):
        rig.keep_sending()
        rig.kill_and_start()
    rig.keep_sending()


def kill_in_an_outage(rig: Rig, seconds: float) -> None:
    """Kill the collector while it queues what it cannot deliver."""
    rig.begin()
    with rig.away():
        rig.keep_sending(seconds)
        rig.kill_and_start()
        rig.keep_sending()
    rig.keep_sending()


def kills_while_starting(rig: Rig, seconds: float) -> None:
    """Kill the collector in an outage, and several times more when it starts to restore its queue."""
    rig.begin()
    with rig.away():
        rig.keep_sending(seconds)
        for _kill in range(KILLS):
            before = _times_logged(rig, RETRIEVING)
            rig.collector.kill()
            rig.launch()
            wait_until(
                lambda before=before: _times_logged(rig, RETRIEVING) > before,  # type: ignore[misc]
                seconds=LONGEST_WAIT,
            )
        rig.kill_and_start()
    rig.keep_sending()


def restart_in_an_outage(rig: Rig, seconds: float) -> None:
    """Restart the collector (SIGTERM) while it queues what it cannot deliver."""
    rig.begin()
    with rig.away():
        rig.keep_sending(seconds)
        rig.restart()
        rig.keep_sending()
    rig.keep_sending()


def end(rig: Rig, _: float) -> None:
    """Restart the collector (SIGTERM) right after the last signal."""
    rig.begin()
    rig.sender.finish(now=True)
    rig.restart()


def slow(rig: Rig, seconds: float) -> None:
    """Let ClickHouse answer after a second."""
    _slow(rig, seconds, delay=1.0)


def too_slow(rig: Rig, seconds: float) -> None:
    """Let ClickHouse answer after the exporter's timeout."""
    _slow(rig, seconds, delay=TIMED_OUT)


def lost_answers(rig: Rig, seconds: float) -> None:
    """Let ClickHouse store inserts and close the connection before it answers."""
    rig.begin()
    with rig.clickhouse.server.failing(Fault.CUTS_ANSWERS):
        rig.keep_sending(seconds)
        rig.clickhouse.server.wait_for(lambda request: request.written_rows > 0 and request.status == 0)
    rig.keep_sending()


def reconfigure(rig: Rig, seconds: float) -> None:
    """Restart the collector with other settings."""
    rig.begin()
    rig.keep_sending(seconds)
    rig.restart(
        environment="other",
        level="warn",
        redaction=otel.Redaction.CONTENT,
        queue_budget=otel.QueueBudget(outage_seconds=600),
    )
    rig.keep_sending(seconds)


def rotate(rig: Rig, seconds: float) -> None:
    """Change ClickHouse's password, and restart the collector with the new one some time later."""
    rig.begin()
    rig.clickhouse.server.accept("second pa$$word")
    rig.keep_sending(seconds)
    rig.secrets[otel.CLICKHOUSE_PASSWORD] = "second pa$$word"
    rig.restart()
    rig.keep_sending()


def start_in_an_outage(rig: Rig, seconds: float) -> None:
    """Start the collector while its backends are down."""
    with rig.away():
        rig.begin()
        rig.keep_sending(seconds)
    rig.keep_sending()


def datadog_away(rig: Rig, seconds: float) -> None:
    """Take Datadog down until ClickHouse has everything, and bring it back."""
    _one_away(rig, seconds, away="Datadog", other="ClickHouse")


def clickhouse_away(rig: Rig, seconds: float) -> None:
    """Take ClickHouse down until Datadog has everything, and bring it back."""
    _one_away(rig, seconds, away="ClickHouse", other="Datadog")


def _one_away(rig: Rig, seconds: float, *, away: str, other: str) -> None:
    rig.begin()
    with rig.away(away):
        rig.keep_sending(seconds)
        rig.sender.finish(now=True)
        rig.wait_stored(other)


def _slow(rig: Rig, seconds: float, *, delay: float) -> None:
    rig.begin()
    rig.clickhouse.server.delay = delay
    with rig.clickhouse.server.failing(Fault.SLOW):
        rig.keep_sending(seconds)
    rig.keep_sending()


def _times_logged(rig: Rig, words: str) -> int:
    return rig.collector.log.read_text(errors="replace").count(words)
