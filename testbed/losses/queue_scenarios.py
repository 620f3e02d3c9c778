"""Scenarios of queues that are full or damaged, and of their disk."""

from __future__ import annotations

import time

from testbed import small_disk
from testbed.losses.rig import Rig
from testbed.polling import wait_until

LONGEST_WAIT = 60.0
RESERVE = "reserve"
"""The file with which the collector reserves room on its queues' disk."""
PAGE = 4096
"""Bytes of a page of a queue's file."""


def full_queue(rig: Rig, seconds: float) -> None:
    """Take all backends down until some time after the queues refuse signals."""
    rig.begin()
    with rig.away():
        _wait_until_refused(rig)
        time.sleep(seconds)
    rig.keep_sending()


def restart_with_a_full_queue(rig: Rig, seconds: float) -> None:
    """Restart the collector (SIGTERM) while its queues refuse signals."""
    rig.begin()
    with rig.away():
        _wait_until_refused(rig)
        time.sleep(seconds)
        rig.restart()
    rig.keep_sending()


def full_disk(rig: Rig, seconds: float) -> None:
    """Fill the queues' disk in an outage, and keep it full."""
    rig.begin()
    with rig.away():
        _fill_disk(rig, seconds)
        time.sleep(seconds)
    rig.keep_sending()


def full_disk_and_kill(rig: Rig, seconds: float) -> None:
    """Fill the queues' disk in an outage, kill the collector, and start it while the disk is still full."""
    rig.begin()
    with rig.away():
        _fill_disk(rig, seconds)
        rig.kill_and_start()
        time.sleep(seconds)
    rig.keep_sending()


def taken_disk(rig: Rig, seconds: float) -> None:
    """Fill even the room that the collector reserves, and free it some time after the outage."""
    _take_disk(rig, seconds)
    time.sleep(seconds)
    small_disk.free(rig.queues)
    rig.keep_sending()


def restart_on_a_taken_disk(rig: Rig, seconds: float) -> None:
    """Fill even the room that the collector reserves, stop it while it waits for room, and start it with room."""
    _take_disk(rig, seconds)
    time.sleep(seconds)
    rig.collector.stop()
    small_disk.free(rig.queues)
    rig.start()
    rig.keep_sending()


def damaged_queue(rig: Rig, seconds: float) -> None:
    """Kill the collector in an outage, overwrite the file of the spans' queue except its header, and start it."""
    _damage(rig, seconds, kept=2 * PAGE)


def destroyed_queue(rig: Rig, seconds: float) -> None:
    """Kill the collector in an outage, overwrite the full file of the spans' queue, and start it."""
    _damage(rig, seconds, kept=0)


def _wait_until_refused(rig: Rig) -> None:
    wait_until(lambda: rig.refused() > 0, seconds=LONGEST_WAIT)


def _fill_disk(rig: Rig, seconds: float) -> None:
    rig.keep_sending(seconds)
    small_disk.fill(rig.queues)
    _wait_until_refused(rig)


def _take_disk(rig: Rig, seconds: float) -> None:
    rig.begin()
    with rig.away():
        _fill_disk(rig, seconds)
        (rig.queues / RESERVE).unlink()
        small_disk.fill(rig.queues)


def _damage(rig: Rig, seconds: float, *, kept: int) -> None:
    rig.begin()
    with rig.away():
        rig.keep_sending(seconds)
        rig.collector.kill()
        (queue,) = rig.queues.glob("exporter_clickhouse_*traces*")
        content = queue.read_bytes()
        queue.write_bytes(content[:kept] + b"\xde" * (len(content) - kept))
        rig.start()
    rig.keep_sending()
