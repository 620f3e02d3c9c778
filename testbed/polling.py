"""Waiting for something that takes time to become true."""

from __future__ import annotations

import time
from collections.abc import Callable

import tenacity


def eventually(seconds: float = 60, *, every: float = 0.5) -> tenacity.Retrying:
    """Return attempts that repeat until one succeeds or `seconds` have passed; then the last error is raised.

    for attempt in eventually(30):
        with attempt:
            assert …
    """
    return tenacity.Retrying(
        stop=tenacity.stop_after_delay(seconds), wait=tenacity.wait_fixed(every), reraise=True
    )


def wait_until(reached: Callable[[], bool], *, seconds: float, every: float = 0.005) -> None:
    """Wait until `reached` returns true; TimeoutError after `seconds`."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError(f"the condition was not met within {seconds:g} s")
        time.sleep(every)
