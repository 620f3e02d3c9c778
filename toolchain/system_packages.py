"""Installs Debian packages, where that is allowed."""

from __future__ import annotations

import os

from toolchain.errors import StepFailedError
from toolchain.machine import OPT_OUT, Machine
from toolchain.progress import Progress


def install(
    progress: Progress, machine: Machine, packages: tuple[str, ...], *, why: str, recommended: bool = False
) -> None:
    """Install packages with apt-get; with `recommended`, also those that they recommend.

    Raises:
        StepFailedError: when it is not allowed or fails, with the command to run by hand.
    """
    words = " ".join(packages)
    by_hand = f"as root: apt-get update && apt-get install {words}"
    if machine.why_no_packages:
        raise StepFailedError(
            f"{words} must be installed ({why}), but not automatically: {machine.why_no_packages}", fix=[by_hand]
        )
    progress.say(f"installing Debian packages {words}: {why} (set {OPT_OUT}=1 to forbid this)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    keep = ("-o", "Dpkg::Options::=--force-confold")
    recommends = ("-o", f"APT::Install-Recommends={str(recommended).lower()}")
    # Another apt may be running, for instance the nightly upgrade: wait for its lock.
    wait = ("-o", "DPkg::Lock::Timeout=300")
    with progress.step("apt-get update"):
        progress.run(["apt-get", *wait, "update"], log="apt-update", environment=environment, fix=[by_hand])
    with progress.step(f"apt-get install {words}"):
        progress.run(
            ["apt-get", *wait, *keep, *recommends, "install", "--yes", *packages],
            log="apt-install",
            environment=environment,
            fix=[by_hand],
        )
