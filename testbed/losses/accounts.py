"""What was sent, acknowledged and stored, counted by the numbers that every signal carries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from testbed.otlp.items import Signal


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """What was sent in one run. `refusals` counts the answers that were no acknowledgement."""

    what: str
    """`traces`, `metrics`, `logs`, or `log lines` for lines of a server's log file."""
    run: str
    signal: Signal
    numbers: frozenset[int]
    acknowledged: frozenset[int]
    refusals: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """One kind of signal in one backend; `refusals` counts answers to requests, all other numbers count signals.

    `unacknowledged` signals were sent and never acknowledged: the backend may have them nevertheless.
    """

    backend: str
    what: str
    sent: int
    acknowledged: int
    stored: int
    lost: int
    twice: int
    unacknowledged: int
    refusals: int

    @classmethod
    def of(cls, backend: str, sent: Sent, stored: Counter[int]) -> Account:
        """Compare what was sent with `stored`: how often the backend has each number."""
        return cls(
            backend=backend,
            what=sent.what,
            sent=len(sent.numbers),
            acknowledged=len(sent.acknowledged),
            stored=len(stored),
            lost=len(sent.acknowledged - stored.keys()),
            twice=sum(times > 1 for times in stored.values()),
            unacknowledged=len(sent.numbers - sent.acknowledged),
            refusals=sent.refusals,
        )
