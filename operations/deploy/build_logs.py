"""Reads the logs of image builds: the provider's error only says that a build failed, not where."""

from __future__ import annotations

from pathlib import Path

from operations.console import terminal

_FAILED = " ERROR: "
"""How BuildKit marks the step that failed, in its plain output."""


def report_failed(folder: Path, *, since: float, lines: int) -> int:
    """Show the end of each build log below `folder` that says that a step failed; return their number.

    `since` is in seconds since the epoch: older logs belong to an earlier run.
    """
    found = 0
    for log in sorted(folder.glob("*.log")):
        if log.stat().st_mtime < since:
            continue
        text = log.read_text(encoding="utf-8", errors="replace")
        if _FAILED not in text:
            continue
        found += 1
        terminal.say("")
        terminal.say(f"the build of image {log.stem} failed (full log: {log}). Its last lines:")
        for line in text.rstrip().splitlines()[-lines:]:
            terminal.say(f"    {line}")
    return found
