"""Processes that an update leaves when it is killed: Pulumi's plugins, which go on with what they were asked for.

A plugin that is waiting for the engine does not notice that Pulumi has died. It holds 80 MB, and may still create
what the next update does not know of.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil  # which takes verbs that look for no processes a while

_PLUGIN = ("pulumi-resource-", "pulumi-language-", "pulumi-analyzer-")
_ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")
_BACKEND = "PULUMI_BACKEND_URL"
PATIENCE_SECONDS = 5.0


def orphans(project: str, environment: Mapping[str, str]) -> tuple[psutil.Process, ...]:
    """Return the plugins of this user, this project and this backend whose Pulumi no longer exists."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if _is_orphan(process, project, environment):
                found.append(process)
        except psutil.Error:
            continue  # it has ended, or is another user's
    return tuple(found)


def _is_orphan(process: psutil.Process, project: str, environment: Mapping[str, str]) -> bool:
    if process.uids().real != os.getuid():
        return False
    command = process.cmdline()
    if not command or not Path(command[0]).name.startswith(_PLUGIN):
        return False
    theirs = process.environ()
    if theirs.get("PULUMI_PROJECT") != project or theirs.get(_BACKEND) != environment.get(_BACKEND):
        return False
    ports = [int(found[1]) for found in map(_ADDRESS.fullmatch, command[1:]) if found]
    # The address of its engine, which is what would ask it for anything.
    return bool(ports) and not any(map(_listens, ports))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end(processes: tuple[psutil.Process, ...]) -> Iterator[str]:
    """End processes, and yield the name of each."""
    import psutil

    for process in processes:
        try:
            name = Path(process.cmdline()[0]).name
            process.terminate()
        except (psutil.Error, IndexError):
            continue
        yield name
    _, alive = psutil.wait_procs(list(processes), timeout=PATIENCE_SECONDS)
    for process in alive:
        try:
            process.kill()
        except psutil.Error:
            continue
