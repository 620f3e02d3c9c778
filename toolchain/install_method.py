"""How a program is installed that its publisher releases, and that can also be built on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from toolchain.errors import StepFailedError
from toolchain.progress import Progress

Installed = TypeVar("Installed")


class InstallMethod(StrEnum):
    """How a program gets onto this machine."""

    OFFICIAL = "official"
    GO = "go"


INSTALL_METHODS = {InstallMethod.OFFICIAL: "official release", InstallMethod.GO: "built from Go modules"}
"""The methods in words, for messages."""


class UnavailableError(Exception):
    """The official release is not available on this machine; the text says why."""


def allowed_methods(variable: str, environ: Mapping[str, str]) -> tuple[InstallMethod, ...]:
    """Return the methods to try, in order: all of them, or the one that the environment variable names.

    Raises:
        StepFailedError: when the variable names none of them.
    """
    chosen = environ.get(variable)
    if not chosen:
        return (InstallMethod.OFFICIAL, InstallMethod.GO)
    try:
        return (InstallMethod(chosen),)
    except ValueError:
        raise StepFailedError(
            f"{variable} is {chosen!r}, which is no install method",
            fix=[f"set it to one of: {', '.join(InstallMethod)}; or unset it"],
        ) from None


def install_with_fallback(
    progress: Progress,
    variable: str,
    environ: Mapping[str, str],
    *,
    official: Callable[[], Installed],
    go: Callable[[], Installed],
) -> Installed:
    """Install the official release where it is available, otherwise build from Go modules; return the result.

    Raises:
        StepFailedError: when the only method that `variable` allows is not available, or the method used fails.
    """
    methods = allowed_methods(variable, environ)
    if InstallMethod.OFFICIAL in methods:
        try:
            return official()
        except UnavailableError as error:
            if InstallMethod.GO not in methods:
                raise StepFailedError(
                    f"the official release, chosen by {variable}, is not available: {error}",
                    fix=[f"unset {variable}: then it is built from Go modules"],
                ) from None
            progress.say(f"official release not available: {error}")
    return go()
