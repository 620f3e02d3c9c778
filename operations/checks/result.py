"""What a check of the machine or the stack found: a state, words, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from operations.console.errors import OperationError


class CheckState(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Works, but the user may want to know or change it."""
    BROKEN = "broken"
    UNKNOWN = "unknown"
    """Could not be checked; usually another check says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One finding."""

    name: str
    state: CheckState
    detail: str
    fix: tuple[str, ...] = ()


def ok(name: str, detail: str) -> Check:
    """Return a finding that needs no action."""
    return Check(name=name, state=CheckState.OK, detail=detail)


def note(name: str, detail: str, *fix: str) -> Check:
    """Return a finding that does no harm yet."""
    return Check(name=name, state=CheckState.NOTE, detail=detail, fix=fix)


def broken(name: str, detail: str, *fix: str) -> Check:
    """Return a finding that must be fixed."""
    return Check(name=name, state=CheckState.BROKEN, detail=detail, fix=fix)


def unknown(name: str, detail: str, *fix: str) -> Check:
    """Return a finding about what could not be checked."""
    return Check(name=name, state=CheckState.UNKNOWN, detail=detail, fix=fix)


def from_error(name: str, error: OperationError) -> Check:
    """Return the finding for an error that says what to do."""
    where = f" ({error.where})" if error.where else ""
    return broken(name, error.problem + where, *error.fix)
