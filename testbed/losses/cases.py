"""A scenario, and the rig that it runs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import otel
from otel.profiles import Batch
from testbed.losses.accounts import Account
from testbed.losses.rig import Change, Rig

Scenario = Callable[[Rig, float], None]
"""What happens from the collector's first start to the last signal sent.

The second argument is how long the fault lasts, counted in signals: until as many are acknowledged as are sent in
so many seconds.
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A scenario with a profile and a version; everything else is as in a deployment unless it is set here."""

    scenario: Scenario
    profile: str = "clickhouse"
    version: str = otel.DEFAULT_VERSION
    change: Change | None = None
    """Applied to the composed configuration."""
    disk: int | None = None
    """Size in bytes of a separate file system for the queues, which only root can create."""
    queue_budget: otel.QueueBudget | None = None

    def run(self, folder: Path, *, seconds: float, batch: Batch | None = None) -> tuple[Account, ...]:
        """Run the scenario, and return the final accounts. `batch` replaces the profile's.

        Raises:
            RuntimeError: when the collector exits while it starts.
            TimeoutError: when something that the scenario waits for does not happen.
        """
        profile = otel.PROFILES[self.profile]
        with Rig(
            profile if batch is None else replace(profile, batch=batch),
            folder=folder,
            version=self.version,
            change=self.change,
            disk=self.disk,
            queue_budget=self.queue_budget,
        ) as rig:
            self.scenario(rig, seconds)
            return rig.settle()
