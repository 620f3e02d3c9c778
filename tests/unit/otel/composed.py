"""Configurations for the tests of this folder."""

from __future__ import annotations

from typing import Any

import otel
from otel.example import DESTINATIONS


def composed(name: str, **arguments: Any) -> dict[str, Any]:
    """Return the configuration of a profile with all destinations, in an environment `staging`."""
    return otel.compose(
        otel.PROFILES[name], **{"destinations": DESTINATIONS, "environment": "staging", **arguments}
    )
