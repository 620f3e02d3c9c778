"""The forms in which the engine reads values back: any other form is a difference in every preview."""

from __future__ import annotations

from runtime.spec import Tmpfs


def duration(seconds: float) -> str:
    """Return a duration as the engine reads it back (`90` → `1m30s`, `0.5` → `500ms`)."""
    if 0 < seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = (int(part) for part in divmod(minutes, 60))
    text = f"{round(rest, 3):g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def cpu_share(cpus: float) -> str:
    """Return a number of CPUs as the engine reads it back (`1` → `1.0`).

    Raises:
        ValueError: for shares finer than a tenth, which the provider rounds when reading.
    """
    text = f"{cpus:.1f}"
    if float(text) != cpus:
        raise ValueError(f"CPU shares are multiples of 0.1, not {cpus}")
    return text


def tmpfs_options(tmpfs: Tmpfs, user: int) -> str:
    """Return the mount options of a tmpfs that belongs to the service's user."""
    execution = "exec" if tmpfs.executable else "noexec"
    return f"rw,nosuid,nodev,{execution},size={tmpfs.size_mb}m,mode=0700,uid={user},gid={user}"
