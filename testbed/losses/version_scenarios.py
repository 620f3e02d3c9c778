"""Scenarios in which one version of the collector replaces another on the same folders."""

from __future__ import annotations

import otel
from testbed.losses.rig import Rig

OLD = otel.VERSIONS[-1]


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
    """Replace the default version, which has delivered everything, by the old one, and put it back."""
    rig.begin()
    rig.keep_sending(seconds)
    rig.restart(version=OLD)
    rig.keep_sending(seconds)
    rig.restart(version=otel.DEFAULT_VERSION)
    rig.keep_sending()


def refused_downgrade(rig: Rig, seconds: float) -> None:
    """Start the old version on a queue that the default one has left signals in, and the default one again."""
    rig.begin()
    with rig.away():
        rig.keep_sending(seconds)
        rig.collector.stop()
    # Not before: the old version does not start without ClickHouse.
    try:
        rig.start(version=OLD)
    except RuntimeError as error:
        if "is not used, and nothing of it is lost: a later version has left" not in str(error):
            raise AssertionError(f"it did not start for another reason: {error}") from error
    else:
        raise AssertionError("it did not refuse the queue")
    rig.start(version=otel.DEFAULT_VERSION)
    rig.keep_sending()
