"""Values as Pulumi hands them over, mostly text, in the types of their settings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from settings.model import SECRET_KEYS
from settings.schema import fields, is_optional, kinds

UNSET = "none"
"""What an optional key holds while it is not set.

Pulumi demands a value for every declared key without default, so optional keys need one that means "not set".
An empty string would not do: it is a mistake that must be reported.
"""

UNREADABLE = "a-secret-that-cannot-be-decrypted-here"
"""Stands for the value of a secret where it is not known, for instance without its passphrase.

It has a form that every secret may have, so that the rules of the others can be checked. It is never used as one.
"""


def is_unset(key: str, value: object) -> bool:
    """Whether a value means that its setting is not set."""
    return (is_optional(fields()[key]) and value == UNSET) or (key in SECRET_KEYS and value in ({}, "{}"))


def is_empty(value: object) -> bool:
    """Whether there is a key but no value."""
    return value is None or (isinstance(value, str) and value.strip() == "")


def is_object(key: str) -> bool:
    """Whether a setting holds names and values."""
    return dict in kinds(fields()[key].annotation)


def parsed(key: str, value: object) -> object:
    """Return the value in its setting's own type if its text has that form; otherwise as it is, to be refused."""
    wanted = set(kinds(fields()[key].annotation))
    if dict in wanted:
        return _parsed_object(value)
    if not isinstance(value, str):
        return value
    text = value.strip()
    if bool in wanted:
        return {"true": True, "false": False}.get(text, value)
    if int in wanted and re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if float in wanted and re.fullmatch(r"[+-]?\d{1,9}(\.\d{1,9})?", text):
        return float(text)
    return value


def _parsed_object(value: object) -> object:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, Mapping):
        return value
    return {str(name): _as_text(entry) for name, entry in value.items()}


def _as_text(value: object) -> object:
    """Return numbers and truth values as text for an environment variable; anything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value
