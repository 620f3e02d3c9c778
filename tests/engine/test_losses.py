"""What a collector acknowledged is stored, whatever goes wrong; needs no Docker, only a compiler once.

The configuration is the one of a deployment, but for a profile's batches, which are as short as in development.
`python -m benchmarks losses` tells the same stories at length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import otel
from tests.support.losses import stories
from tests.support.losses.accounts import Account
from tests.support.losses.rig import Rig
from tests.support.losses.stories import Story

pytestmark = pytest.mark.engine

SECONDS = 2.0
OFTEN = otel.PROFILES["clickhouse-dev"].batch
TINY = otel.Backlog(outage_seconds=1)

Tell = Callable[..., tuple[Account, ...]]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """Give a function that tells a story on a rig of its own, and gives what became of the signals."""

    def told(story: Story, profile: str = "clickhouse", **rig: Any) -> tuple[Account, ...]:
        with Rig(replace(otel.PROFILES[profile], batch=OFTEN), folder=tmp_path, **rig) as made:
            story(made, SECONDS)
            return made.settle()

    return told


def lost(accounts: tuple[Account, ...]) -> dict[tuple[str, str], int]:
    """Give how many acknowledged signals are missing, by backend and kind, where any are."""
    assert accounts
    assert all(one.acknowledged for one in accounts)
    return {(one.backend, one.what): one.lost for one in accounts if one.lost}


def twice(accounts: tuple[Account, ...]) -> int:
    """Give how many signals are stored more than once."""
    return sum(one.twice for one in accounts)


@pytest.mark.parametrize(
    "story",
    [stories.outage, stories.start_in_an_outage, stories.rotate, stories.reconfigure],
    ids=lambda s: s.__name__,
)
def test_nothing_acknowledged_is_lost_or_doubled_by(tell: Tell, story: Story) -> None:
    accounts = tell(story)

    assert lost(accounts) == {}
    assert twice(accounts) == 0
