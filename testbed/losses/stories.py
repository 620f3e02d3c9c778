"""What goes wrong, told on a rig from the collector's first start to the last signal sent.

`seconds` is how long the wrong lasts, counted in signals: until as many are acknowledged as are sent in that time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import otel
from testbed import small_disk
from testbed.clickhouse.server import Fault
from testbed.losses.rig import Rig

Story = Callable[[Rig, float], None]

KILLS = 3
LONGEST_WAIT = 60.0
RETRIEVING = "Fetching items left for dispatch by consumers"
"""What the collector's log says when it starts to put back what was on its way when it was killed."""
RESERVE = "reserve"
"""The file for which the collector keeps room on its queues' disk."""
PAGE = 4096
"""Bytes of a page of a queue's file."""
TIMED_OUT = 12.0
"""Seconds of an answer that the exporter does not wait for."""


def nothing(rig: Rig, seconds: float) -> None:
    """Send for a while."""
    rig.begin()
    rig.go_on(seconds)


def outage(rig: Rig, seconds: float) -> None:
    """Take all backends away, and give them back."""
    rig.begin()
    with rig.away():
        rig.go_on(seconds)
    rig.go_on()


def kills(rig: Rig, _: float) -> None:
    """Kill the collector while signals come in and go out."""
    rig.begin()
    for _kill in range(KILLS):
        rig.go_on()
        _kill_and_start(rig)
    rig.go_on()


def kill_in_an_outage(rig: Rig, seconds: float) -> None:
    """Kill the collector while it keeps what it cannot deliver."""
    rig.begin()
    with rig.away():
        rig.go_on(seconds)
        _kill_and_start(rig)
        rig.go_on()
    rig.go_on()


def kills_while_starting(rig: Rig, seconds: float) -> None:
    """Kill the collector in an outage, and again each time when it begins to sort what it finds."""
    rig.begin()
    with rig.away():
        rig.go_on(seconds)
        for _kill in range(KILLS):
            said = _times_said(rig, RETRIEVING)
            rig.collector.kill()
            rig.launch()
            _wait_until(lambda said=said: _times_said(rig, RETRIEVING) > said)  # type: ignore[misc]
        _kill_and_start(rig)
    rig.go_on()


def restart_in_an_outage(rig: Rig, seconds: float) -> None:
    """End the collector in order (SIGTERM) while it keeps what it cannot deliver, and start it."""
    rig.begin()
    with rig.away():
        rig.go_on(seconds)
        rig.restart()
        rig.go_on()
    rig.go_on()


def end(rig: Rig, _: float) -> None:
    """End the collector in order (SIGTERM) right after the last signal, and start it again."""
    rig.begin()
    rig.finish()
    rig.restart()


def slow(rig: Rig, seconds: float) -> None:
    """Let ClickHouse answer after a second."""
    _slow(rig, seconds, delay=1.0)


def too_slow(rig: Rig, seconds: float) -> None:
    """Let ClickHouse answer when the exporter has stopped waiting."""
    _slow(rig, seconds, delay=TIMED_OUT)


def lost_answers(rig: Rig, seconds: float) -> None:
    """Let ClickHouse store inserts and cut off the connection before it answers."""
    rig.begin()
    with rig.clickhouse.server.failing(Fault.CUTS_ANSWERS):
        rig.go_on(seconds)
        rig.clickhouse.server.wait_for(lambda request: request.written_rows > 0 and request.status == 0)
    rig.go_on()


def full_queue(rig: Rig, seconds: float) -> None:
    """Take all backends away until the queues refuse what comes, and some time longer."""
    rig.begin()
    with rig.away():
        _wait_until(lambda: rig.refused() > 0)
        time.sleep(seconds)
    rig.go_on()


def restart_with_a_full_queue(rig: Rig, seconds: float) -> None:
    """End the collector in order (SIGTERM) while its queues refuse what comes, and start it."""
    rig.begin()
    with rig.away():
        _wait_until(lambda: rig.refused() > 0)
        time.sleep(seconds)
        rig.restart()
    rig.go_on()


def full_disk(rig: Rig, seconds: float) -> None:
    """Let something else take all room on the queues' disk in an outage, and keep it."""
    rig.begin()
    with rig.away():
        _fill_disk(rig, seconds)
        time.sleep(seconds)
    rig.go_on()


def full_disk_and_kill(rig: Rig, seconds: float) -> None:
    """Do so, kill the collector, and start it before there is room again."""
    rig.begin()
    with rig.away():
        _fill_disk(rig, seconds)
        _kill_and_start(rig)
        time.sleep(seconds)
    rig.go_on()


def taken_disk(rig: Rig, seconds: float) -> None:
    """Let something else take even what the collector keeps back, and give it back some time after the outage."""
    _take_disk(rig, seconds)
    time.sleep(seconds)
    small_disk.free(rig.queues)
    rig.go_on()


def restart_on_a_taken_disk(rig: Rig, seconds: float) -> None:
    """Let something else take even what the collector keeps back, and end it in order while it waits for room."""
    _take_disk(rig, seconds)
    time.sleep(seconds)
    rig.collector.stop()
    small_disk.free(rig.queues)
    rig.start()
    rig.go_on()


def damaged_queue(rig: Rig, seconds: float) -> None:
    """Kill the collector in an outage, write nonsense into the file of the spans' queue, and start it."""
    _damage(rig, seconds, kept=2 * PAGE)


def destroyed_queue(rig: Rig, seconds: float) -> None:
    """Do the same to all of the file, with the two pages at its start that say what it is."""
    _damage(rig, seconds, kept=0)


def upgrade(rig: Rig, seconds: float) -> None:
    """Replace the old version by the default one, on the same folders."""
    rig.begin()
    rig.go_on(seconds)
    rig.restart(version=otel.DEFAULT_VERSION)
    rig.go_on(seconds)


def upgrade_in_an_outage(rig: Rig, seconds: float) -> None:
    """Do so while the old version keeps what it cannot deliver."""
    rig.begin()
    with rig.away():
        rig.go_on(seconds)
        rig.restart(version=otel.DEFAULT_VERSION)
        rig.go_on()
    rig.go_on()


def downgrade(rig: Rig, seconds: float) -> None:
    """Replace the default version, which could not deliver everything, by an old one."""
    rig.begin()
    with rig.away():
        rig.go_on(seconds)
        rig.collector.stop()
    # Not before: the old one does not start without ClickHouse.
    rig.start(version=otel.VERSIONS[-1])
    rig.go_on()


def there_and_back(rig: Rig, seconds: float) -> None:
    """Do so, and put the default version back at once, while the old one delivers what was left to it."""
    rig.begin()
    with rig.away():
        rig.go_on(seconds)
        rig.collector.stop()
    rig.start(version=otel.VERSIONS[-1])
    rig.restart(version=otel.DEFAULT_VERSION)
    rig.go_on()


def refused_downgrade(rig: Rig, seconds: float) -> None:
    """Let the old version find a queue that it cannot read, and go on with the default one, which can."""
    rig.begin()
    with rig.away():
        rig.go_on(seconds)
        rig.collector.stop()
    (queue,) = rig.queues.glob("exporter_clickhouse_*traces*")
    content = queue.read_bytes()
    # Where what is known of a queue begins with its first field, a field of a kind that there is not.
    queue.write_bytes(content.replace(b"qmv0\x09", b"qmv0\x0f"))
    refused = None
    try:
        rig.start(version=otel.VERSIONS[-1])
    except RuntimeError as error:
        refused = str(error)
    if refused is None or 'the queue of "clickhouse/traces" for traces cannot be read' not in refused:
        raise AssertionError(f"it has not refused the queue: {refused}")
    queue.write_bytes(queue.read_bytes().replace(b"qmv0\x0f", b"qmv0\x09"))
    rig.start(version=otel.DEFAULT_VERSION)
    rig.go_on()


def reconfigure(rig: Rig, seconds: float) -> None:
    """Restart the collector with other settings."""
    rig.begin()
    rig.go_on(seconds)
    rig.restart(
        environment="other",
        level="warn",
        redaction=otel.Redaction.CONTENT,
        queue_budget=otel.QueueBudget(outage_seconds=600),
    )
    rig.go_on(seconds)


def rotate(rig: Rig, seconds: float) -> None:
    """Change ClickHouse's password; the collector gets the new one only some time later, and is restarted."""
    rig.begin()
    rig.clickhouse.server.accept("second pa$$word")
    rig.go_on(seconds)
    rig.secrets[otel.CLICKHOUSE_PASSWORD] = "second pa$$word"
    rig.restart()
    rig.go_on()


def start_in_an_outage(rig: Rig, seconds: float) -> None:
    """Start the collector while its backends are away."""
    with rig.away():
        rig.begin()
        rig.go_on(seconds)
    rig.go_on()


def datadog_away(rig: Rig, seconds: float) -> None:
    """Take Datadog away until ClickHouse has everything, and give it back."""
    _one_away(rig, seconds, away="Datadog", other="ClickHouse")


def clickhouse_away(rig: Rig, seconds: float) -> None:
    """Take ClickHouse away until Datadog has everything, and give it back."""
    _one_away(rig, seconds, away="ClickHouse", other="Datadog")


def _one_away(rig: Rig, seconds: float, *, away: str, other: str) -> None:
    rig.begin()
    with rig.away(away):
        rig.go_on(seconds)
        rig.finish()
        rig.wait_stored(other)


def _fill_disk(rig: Rig, seconds: float) -> None:
    rig.go_on(seconds)
    small_disk.fill(rig.queues)
    _wait_until(lambda: rig.refused() > 0)


def _take_disk(rig: Rig, seconds: float) -> None:
    rig.begin()
    with rig.away():
        _fill_disk(rig, seconds)
        (rig.queues / RESERVE).unlink()
        small_disk.fill(rig.queues)


def _damage(rig: Rig, seconds: float, *, kept: int) -> None:
    rig.begin()
    with rig.away():
        rig.go_on(seconds)
        rig.collector.kill()
        (queue,) = rig.queues.glob("exporter_clickhouse_*traces*")
        content = queue.read_bytes()
        queue.write_bytes(content[:kept] + b"\xde" * (len(content) - kept))
        rig.start()
    rig.go_on()


def _slow(rig: Rig, seconds: float, *, delay: float) -> None:
    rig.begin()
    rig.clickhouse.server.delay = delay
    with rig.clickhouse.server.failing(Fault.SLOW):
        rig.go_on(seconds)
    rig.go_on()


def _kill_and_start(rig: Rig) -> None:
    rig.collector.kill()
    rig.start()


def _times_said(rig: Rig, words: str) -> int:
    return rig.collector.log.read_text(errors="replace").count(words)


def _wait_until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST_WAIT
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError("what the story waits for did not happen")
        time.sleep(0.005)
