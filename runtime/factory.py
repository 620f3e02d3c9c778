"""Which runtime a stack gets. Another one is a branch here, and an implementation next to `engine`."""

from __future__ import annotations

from runtime.engine import EngineRuntime
from runtime.spec import Runtime, RuntimeArgs


def create(args: RuntimeArgs) -> Runtime:
    """Return the runtime of a stack."""
    return EngineRuntime(args)
