"""What goes wrong before a collector runs."""

from __future__ import annotations


class ConfigurationError(ValueError):
    """A configuration that cannot be composed; the message says what was asked for and what there is."""
