"""Brings what is missing: engine, Pulumi with its plugins, the Debian base image."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from enum import StrEnum

from toolchain import base_image, docker_daemon, pulumi
from toolchain.install_method import INSTALL_METHODS
from toolchain.machine import detect
from toolchain.progress import Progress


class Part(StrEnum):
    """What can be asked for."""

    ENGINE = "engine"
    PULUMI = "pulumi"
    BASE_IMAGE = "base-image"
    """Needs the engine; leave it out where the setting `baseImage` or `pinnedImages` is used."""


def ensure(
    progress: Progress,
    *,
    want: Collection[Part] = tuple(Part),
    environ: Mapping[str, str] = os.environ,
    thorough: bool = False,
) -> None:
    """Bring the parts that are missing, and leave those that are there; quick when nothing is to do.

    Args:
        progress: where to report.
        want: what is needed.
        environ: environment to take choices and opt-outs from.
        thorough: compare checksums of what is cached, not only sizes and times.

    Raises:
        StepFailedError: when something cannot be brought, with what to install by hand.
    """
    machine = detect(environ)
    # The engine first: it fails soonest where a person has to do something.
    host = docker_daemon.ensure(progress, machine, environ) if {Part.ENGINE, Part.BASE_IMAGE} & set(want) else ""
    if Part.PULUMI in want:
        found = pulumi.ensure(progress, machine, environ, thorough=thorough)
        progress.say(f"Pulumi in {found.programs} ({INSTALL_METHODS[found.route]})")
    if Part.BASE_IMAGE in want:
        base_image.ensure(progress, machine, base_image.EngineImages(host, environ), environ)
