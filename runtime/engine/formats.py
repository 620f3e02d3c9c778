"""The forms in which the engine reads values back: any other form is a difference in every preview."""

from __future__ import annotations

from decimal import Decimal

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
    """Return a number of CPUs as the provider reads it back (`1` → `1.0`, `0.25` → `0.25`, `10` → `10.`).

    Raises:
        ValueError: for a number that it reads back as another one.
    """
    number = Decimal(str(cpus))
    text = f"{number:.9f}"
    # The provider takes nine zeros for a single decimal; from 10 on and below 0.1 that can be wrong.
    text = f"{number:.1f}" if text.count("0") == 9 else text.rstrip("0")
    if Decimal(text) != number:
        raise ValueError(f"the Docker provider reads {cpus} CPUs back as {text}")
    return text


def tmpfs_options(tmpfs: Tmpfs, user: int) -> str:
    """Return the mount options of a tmpfs that belongs to the service's user."""
    execution = "exec" if tmpfs.executable else "noexec"
    return f"rw,nosuid,nodev,{execution},size={tmpfs.size_mb}m,mode=0700,uid={user},gid={user}"
