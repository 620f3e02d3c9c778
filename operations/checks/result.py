"""What a look at the machine or the stack found: a state, words, and a cure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Works, but somebody may want to know or change it."""
    BROKEN = "broken"
    UNKNOWN = "unknown"
    """Could not be looked at; another check says why, as a rule."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One finding."""

    name: str
    state: CheckState
    detail: str
    fix: tuple[str, ...] = ()


def ok(name: str, detail: str) -> Check:
    """Give a finding that needs nothing."""
    return Check(name=name, state=CheckState.OK, detail=detail)


def note(name: str, detail: str, *fix: str) -> Check:
    """Give a finding that does no harm yet."""
    return Check(name=name, state=CheckState.NOTE, detail=detail, fix=fix)


def broken(name: str, detail: str, *fix: str) -> Check:
    """Give a finding that must be mended."""
    return Check(name=name, state=CheckState.BROKEN, detail=detail, fix=fix)


def unknown(name: str, detail: str, *fix: str) -> Check:
    """Give a finding about what could not be looked at."""
    return Check(name=name, state=CheckState.UNKNOWN, detail=detail, fix=fix)
