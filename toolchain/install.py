"""Installs what is missing: engine, Pulumi with its plugins, the Debian base image."""

from __future__ import annotations

import os
from collections.abc import Collection
from enum import StrEnum

from toolchain import base_image, docker_daemon, pulumi
from toolchain.install_method import INSTALL_METHODS
from toolchain.machine import detect
from toolchain.progress import Progress


class Part(StrEnum):
    """What can be installed."""

    ENGINE = "engine"
    PULUMI = "pulumi"
    BASE_IMAGE = "base-image"
    """Needs the engine; not needed where the setting `baseImage` or `pinnedImages` is used."""


def ensure(progress: Progress, *, want: Collection[Part]) -> None:
    """Install the parts that are missing; takes a moment when none is.

    Environment variables choose install methods and forbid system packages.

    Args:
        progress: where to report.
        want: what is needed.

    Raises:
        StepFailedError: when something cannot be installed, with what to install by hand.
    """
    environ = os.environ
    machine = detect(environ)
    # The engine first: where the user has to do something about it, that is known after a second.
    host = docker_daemon.ensure(progress, machine, environ) if {Part.ENGINE, Part.BASE_IMAGE} & set(want) else ""
    if Part.PULUMI in want:
        found = pulumi.ensure(progress, machine, environ)
        progress.say(f"Pulumi in {found.programs} ({INSTALL_METHODS[found.method]})")
    if Part.BASE_IMAGE in want:
        base_image.ensure(progress, machine, base_image.EngineImages(host, environ), environ)
