"""The tools that a deployment needs, installed where they are missing."""

from __future__ import annotations

from collections.abc import Collection

from operations.console import terminal
from toolchain.install import Part, ensure
from toolchain.progress import Progress


def ensure_tools(without: Collection[Part] = ()) -> None:
    """Install what is missing of engine, Pulumi with its plugins, and base image.

    Raises:
        toolchain.errors.StepFailedError: when something cannot be installed, with what to do by hand.
    """
    ensure(Progress(terminal.say), want=[part for part in Part if part not in without])
