"""The settings of one stack: what people write in `Pulumi.<stack>.yaml`, checked and typed.

Owns the keys of the namespace `letta`, their rules and the messages for what is wrong with them. It does not look
at the machine (ports held by other programs, free disk), and it creates nothing.
"""

from __future__ import annotations

from settings.loading import from_config_json, from_pulumi, load
from settings.model import (
    NAMESPACE,
    SECRET_KEYS,
    SUPPORTED_LETTA_VERSIONS,
    LogLevel,
    Services,
    Settings,
    TelemetryProfile,
    TelemetryVariant,
)
from settings.problems import Problem, SettingsError
from settings.rules import published_ports
from settings.stack_file import StackFile, read_stack_file

__all__ = [
    "NAMESPACE",
    "SECRET_KEYS",
    "SUPPORTED_LETTA_VERSIONS",
    "LogLevel",
    "Problem",
    "Services",
    "Settings",
    "SettingsError",
    "StackFile",
    "TelemetryProfile",
    "TelemetryVariant",
    "from_config_json",
    "from_pulumi",
    "load",
    "published_ports",
    "read_stack_file",
]
