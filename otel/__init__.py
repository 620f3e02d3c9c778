"""Collector configuration: what the collector is to do, for one profile and one collector version.

Owns the profiles (data), the fragments they are made of and what differs between collector versions.
No Pulumi, no files, no network: the result is a mapping, or its YAML text, and equal arguments give
equal text.
"""

from __future__ import annotations

from otel.composition import compose, go_memory_limit, render
from otel.fragments import DATA_DIRECTORY, HEALTH_PORT, METRICS_FILE, METRICS_PORT, TRACES_FILE, ConfigurationError
from otel.profiles import PROFILES, Profile
from otel.versions import DEFAULT_VERSION, VERSIONS, CollectorVersion

__all__ = [
    "DATA_DIRECTORY",
    "DEFAULT_VERSION",
    "HEALTH_PORT",
    "METRICS_FILE",
    "METRICS_PORT",
    "PROFILES",
    "TRACES_FILE",
    "VERSIONS",
    "CollectorVersion",
    "ConfigurationError",
    "Profile",
    "compose",
    "go_memory_limit",
    "render",
]
