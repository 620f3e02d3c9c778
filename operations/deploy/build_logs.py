"""Reads the logs of image builds: the provider's error only says that a build failed, not where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from operations.console import terminal

_FAILED = " ERROR: "
"""How BuildKit marks the step that failed, in its plain output."""


def sizes(folder: Path) -> Mapping[Path, int]:
    """Return the bytes of each build log below a folder, for `report_failed`."""
    return {log: log.stat().st_size for log in folder.glob("*.log")}


def report_failed(folder: Path, *, before: Mapping[Path, int], lines: int) -> int:
    """Show the end of each build log below `folder` by which a step failed in this run; return their number.

    `before` are the `sizes` at the beginning of the run: the provider appends, so what is older says nothing.
    """
    found = 0
    for log in sorted(folder.glob("*.log")):
        content = log.read_bytes()
        old = before.get(log, 0)
        # A log that is shorter now was written anew.
        text = content[old if old <= len(content) else 0 :].decode(errors="replace")
        if _FAILED not in text:
            continue
        found += 1
        terminal.say("")
        terminal.say(f"the build of image {log.stem} failed (full log: {log}). Its last lines:")
        for line in text.rstrip().splitlines()[-lines:]:
            terminal.say(f"    {line}")
    return found
