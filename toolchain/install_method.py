"""The ways to a program that its makers publish and that can be built here, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from toolchain.failure import StepFailedError
from toolchain.progress import Progress

Taken = TypeVar("Taken")


class InstallMethod(StrEnum):
    """A way to a program."""

    OFFICIAL = "official"
    GO = "go"


INSTALL_METHODS = {InstallMethod.OFFICIAL: "official release", InstallMethod.GO: "built from Go modules"}
"""How something came, for people."""


class UnavailableError(Exception):
    """The official way cannot be taken here; the text says why."""


def routes(variable: str, environ: Mapping[str, str]) -> tuple[InstallMethod, ...]:
    """Give the ways that may be taken, in order; a variable of the environment may choose one.

    Raises:
        StepFailedError: when it chooses one that does not exist.
    """
    chosen = environ.get(variable)
    if not chosen:
        return (InstallMethod.OFFICIAL, InstallMethod.GO)
    try:
        return (InstallMethod(chosen),)
    except ValueError:
        raise StepFailedError(
            f"{variable} is {chosen!r}", fix=[f"set it to one of: {', '.join(InstallMethod)}; or unset it"]
        ) from None


def take(
    progress: Progress,
    variable: str,
    environ: Mapping[str, str],
    *,
    official: Callable[[], Taken],
    go: Callable[[], Taken],
) -> Taken:
    """Take the official way where it can be taken, else build, and give what came of it.

    Raises:
        StepFailedError: when the only way that `variable` leaves cannot be taken, or the one that is taken fails.
    """
    ways = routes(variable, environ)
    if InstallMethod.OFFICIAL in ways:
        try:
            return official()
        except UnavailableError as error:
            if InstallMethod.GO not in ways:
                raise StepFailedError(
                    f"the official way, chosen by {variable}, cannot be taken: {error}",
                    fix=[f"unset {variable}: it can be built from Go modules, too"],
                ) from None
            progress.say(f"not the official release: {error}")
    return go()
