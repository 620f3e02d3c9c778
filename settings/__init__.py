"""The settings of one stack: what people write in `Pulumi.<stack>.yaml`, checked and typed.

Owns the keys of the namespace `letta`, their rules and the messages about invalid ones, for the program and for
operations. It does not examine the machine (ports held by other programs, free disk), and it creates nothing.
"""

from __future__ import annotations

from settings.composition import cpu_limits, memory_limits, published_ports, replicas
from settings.loading import Loaded, check, from_pulumi, load
from settings.model import (
    NAMESPACE,
    SECRET_KEYS,
    SUPPORTED_LETTA_VERSIONS,
    LogLevel,
    Settings,
    TelemetryProfile,
    TelemetryVariant,
)
from settings.problems import Problem, SettingsError
from settings.raw_values import UNREADABLE
from settings.server_environment import has_provider
from settings.stack_file import StackFile, StackFileError, read_stack_file

__all__ = [
    "NAMESPACE",
    "SECRET_KEYS",
    "SUPPORTED_LETTA_VERSIONS",
    "UNREADABLE",
    "Loaded",
    "LogLevel",
    "Problem",
    "Settings",
    "SettingsError",
    "StackFile",
    "StackFileError",
    "TelemetryProfile",
    "TelemetryVariant",
    "check",
    "cpu_limits",
    "from_pulumi",
    "has_provider",
    "load",
    "memory_limits",
    "published_ports",
    "read_stack_file",
    "replicas",
]
