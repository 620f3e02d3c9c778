"""Errors in composing a configuration."""

from __future__ import annotations


class ConfigurationError(ValueError):
    """A configuration that cannot be composed; the message says what was requested and what is supported."""
