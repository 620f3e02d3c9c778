"""Repeated measurements of the same quantity."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Samples:
    """One or more values of the same unit."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Create samples from the values.

        Raises:
            ValueError: when there are none.
        """
        taken = tuple(values)
        if not taken:
            raise ValueError("nothing was measured")
        return cls(taken)

    @property
    def median(self) -> float:
        """The middle value, or the mean of the two in the middle."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The smallest value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest value."""
        return max(self.values)

    def shown(self, digits: int = 1) -> tuple[str, str]:
        """Return the median, and the spread as `min-max` (`-` for a single value)."""
        spread = f"{self.low:,.{digits}f}-{self.high:,.{digits}f}" if len(self.values) > 1 else "-"
        return f"{self.median:,.{digits}f}", spread


def ratio(ours: Samples, theirs: Samples) -> float:
    """Return the ratio of the medians."""
    return ours.median / theirs.median


def against(ours: Samples, theirs: Samples, target: str) -> tuple[str, str]:
    """Return the ratio of the medians, and the target."""
    return f"{ratio(ours, theirs):.2f}x", target
