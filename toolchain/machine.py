"""Facts about this machine that decide how tools are installed."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

OPT_OUT = "LETTA_NO_SYSTEM_PACKAGES"


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What kind of machine this is, and what may be installed on it."""

    system: str
    """`Linux` or `Darwin`."""
    architecture: str
    """`x86_64`, `aarch64`, `arm64`."""
    distribution: str = ""
    """`ID` of os-release: `debian`, `ubuntu`, `fedora`."""
    like: tuple[str, ...] = ()
    """`ID_LIKE` of os-release."""
    is_root: bool = False
    has_systemd: bool = False
    """systemd is installed and runs this machine."""
    in_wsl: bool = False
    programs: frozenset[str] = frozenset()
    """Which of the programs that the toolchain uses are on the PATH."""
    system_packages_refused: bool = False

    @property
    def is_debian_like(self) -> bool:
        """Whether packages are Debian's or a descendant's."""
        return self.system == "Linux" and bool({"debian", "ubuntu"} & {self.distribution, *self.like})

    @property
    def why_no_packages(self) -> str:
        """Why no system package may be installed; empty when it may."""
        if self.system != "Linux":
            return f"this is {self.system}"
        if not self.is_debian_like or "apt-get" not in self.programs:
            return f"the distribution is {self.distribution or 'unknown'}, not Debian or Ubuntu"
        if self.system_packages_refused:
            return f"{OPT_OUT} is set"
        if not self.is_root:
            return "you are not root"
        return ""


_PROGRAMS = ("apt-get", "dockerd", "mmdebstrap", "systemctl")


def detect(environ: Mapping[str, str] = os.environ) -> Machine:
    """Return the facts about this machine."""
    release = _os_release()
    path = f"{environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    return Machine(
        system=platform.system(),
        architecture=platform.machine(),
        distribution=release.get("ID", ""),
        like=tuple(release.get("ID_LIKE", "").split()),
        is_root=os.geteuid() == 0,
        has_systemd=Path("/run/systemd/system").is_dir(),
        in_wsl="microsoft" in platform.release().lower(),
        programs=frozenset(name for name in _PROGRAMS if shutil.which(name, path=path)),
        system_packages_refused=is_set(environ, OPT_OUT),
    )


def is_set(environ: Mapping[str, str], variable: str) -> bool:
    """Whether an environment variable that is a switch is on."""
    return environ.get(variable, "").lower() not in {"", "0", "no", "false"}


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}
