"""Reads `Pulumi.<stack>.yaml` as Pulumi does, for what Pulumi does not hand to the program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_ENCRYPTED = "secure"


@dataclass(frozen=True, kw_only=True, slots=True)
class StackFile:
    """The configuration that one stack file holds."""

    values: Mapping[str, str]
    """Plain values by full key as Pulumi hands them to a program: texts, objects as JSON. Secrets are left out."""
    secret_keys: frozenset[str] = field(default_factory=frozenset)
    """Keys that hold something encrypted, at whatever depth."""
    plain_parts: tuple[str, ...] = ()
    """Paths of plain values beside encrypted ones in one object, which Pulumi hands over as if all were secret."""


def read_stack_file(path: Path) -> StackFile:
    """The content of a stack file; raises `OSError` if it cannot be read, `yaml.YAMLError` if it is no YAML."""
    # Every scalar stays the text that was typed: a version such as 1.10 is no number, a date no date.
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader) or {}  # noqa: S506
    config = document.get("config") or {}
    secret_keys = frozenset(key for key, value in config.items() if _holds_secret(value))
    values = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in config.items()
        if key not in secret_keys
    }
    plain_parts = tuple(
        f"{key}.{name}"
        for key in sorted(secret_keys)
        for name, part in config[key].items()
        if name != _ENCRYPTED and not _holds_secret(part)
    )
    return StackFile(values=values, secret_keys=secret_keys, plain_parts=plain_parts)


def _holds_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) == {_ENCRYPTED} or any(_holds_secret(part) for part in value.values())
    return isinstance(value, list) and any(_holds_secret(part) for part in value)
