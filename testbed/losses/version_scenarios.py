"""Scenarios in which one version of the collector replaces another on the same folders."""

from __future__ import annotations

import otel
from testbed.losses.rig import Rig

OLD = otel.VERSIONS[-1]
FIELD, UNKNOWN_FIELD = b"qmv0\x09", b"qmv0\x0f"
"""How a queue's metadata starts, and the same with a first field of a type that does not exist."""


def upgrade(rig: Rig, seconds: float) -> None:
    """Replace the old version by the default one."""
    rig.begin()
    rig.keep_sending(seconds)
    rig.restart(version=otel.DEFAULT_VERSION)
    rig.keep_sending(seconds)


def upgrade_in_an_outage(rig: Rig, seconds: float) -> None:
    """Replace the old version by the default one while it queues what it cannot deliver."""
    rig.begin()
    with rig.away():
        rig.keep_sending(seconds)
        rig.restart(version=otel.DEFAULT_VERSION)
        rig.keep_sending()
    rig.keep_sending()


def downgrade(rig: Rig, seconds: float) -> None:
    """Replace the default version by the old one when its queue holds signals."""
    _stop_with_signals_queued(rig, seconds)
    # Not before: the old version does not start without ClickHouse.
    rig.start(version=OLD)
    rig.keep_sending()


def downgrade_and_upgrade(rig: Rig, seconds: float) -> None:
    """Replace the default version by the old one, and back at once, while that delivers the queued signals."""
    _stop_with_signals_queued(rig, seconds)
    rig.start(version=OLD)
    rig.restart(version=otel.DEFAULT_VERSION)
    rig.keep_sending()


def refused_downgrade(rig: Rig, seconds: float) -> None:
    """Start the old version on a queue that it cannot read, and the default one again, which can."""
    _stop_with_signals_queued(rig, seconds)
    (queue,) = rig.queues.glob("exporter_clickhouse_*traces*")
    queue.write_bytes(queue.read_bytes().replace(FIELD, UNKNOWN_FIELD))
    try:
        rig.start(version=OLD)
    except RuntimeError as error:
        if 'the queue of "clickhouse/traces" for traces cannot be read' not in str(error):
            raise AssertionError(f"it did not start for another reason: {error}") from error
    else:
        raise AssertionError("it did not refuse the queue")
    queue.write_bytes(queue.read_bytes().replace(UNKNOWN_FIELD, FIELD))
    rig.start(version=otel.DEFAULT_VERSION)
    rig.keep_sending()


def _stop_with_signals_queued(rig: Rig, seconds: float) -> None:
    rig.begin()
    with rig.away():
        rig.keep_sending(seconds)
        rig.collector.stop()
