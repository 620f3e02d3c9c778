"""Free TCP ports for test stacks, which containers bind some time after the ports are chosen.

A port found by binding to port 0 and closing the socket could be taken by an outgoing connection or another test
run in between. So these ports are below the kernel's range for outgoing connections, and a lock file reserves each
until this test run ends or releases it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

FIRST, LAST = 20000, 29999


@contextmanager
def reserved(count: int, *, directory: Path | None = None) -> Iterator[tuple[int, ...]]:
    """Yield `count` different ports, free on every address and reserved until the end of the context.

    Raises RuntimeError when there are not enough. `directory` holds the lock files (default: shared by all
    runs on this machine).
    """
    locks = directory or Path(tempfile.gettempdir()) / "letta-platform-test-ports"
    locks.mkdir(mode=0o777, exist_ok=True)
    with suppress(PermissionError):  # created by another user, with these permissions
        locks.chmod(0o1777)
    with ExitStack() as held:
        ports: list[int] = []
        for port in _candidates():
            if len(ports) == count:
                break
            lock = _lock(locks / str(port))
            if lock is None:
                continue
            if not is_free(port):
                lock.close()
                continue
            held.enter_context(lock)
            ports.append(port)
        if len(ports) < count:
            raise RuntimeError(f"no {count} free ports between {FIRST} and {LAST}")
        yield tuple(ports)


def is_free(port: int) -> bool:
    """Return whether a server could bind `port` on all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104
        except OSError:
            return False
        return True


def _candidates() -> Iterator[int]:
    """Return the ports, starting elsewhere in each process, so that a port just released is not reused at once."""
    size = LAST - FIRST + 1
    start = os.getpid() * 101 % size
    return (FIRST + (start + step) % size for step in range(size))


def _lock(path: Path) -> IO[bytes] | None:
    try:
        file = path.open("ab")
    except PermissionError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
