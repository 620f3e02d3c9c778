"""Waits until a stack answers end to end, and shows which containers are not healthy when it does not."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from operations.console import terminal
from operations.console.errors import OperationError
from operations.engine.protocol import Engine, troubled

LOG_LINES = 20
POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 10.0
REQUEST_SECONDS = 5.0


def answer(url: str) -> str | None:
    """Request a URL; return None when it succeeds, else the reason why not."""
    # Not through a proxy: the stack is on this machine, or where DOCKER_HOST says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=REQUEST_SECONDS) as response:
            return None if response.status < 300 else f"status {response.status}"
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error))


def wait_until_answering(
    url: str,
    *,
    seconds: float,
    ask: Callable[[str], str | None] = answer,
    clock: Any = time,
) -> None:
    """Poll a URL until it answers with success.

    Raises:
        OperationError: when it has not after `seconds`.
    """
    started = spoken = clock.monotonic()
    while (reason := ask(url)) is not None:
        now = clock.monotonic()
        if now - started > seconds:
            raise OperationError(
                f"the stack does not answer after {seconds:.0f} s: {reason}",
                where=url,
                fix=["`make status` and `make doctor` report more"],
            )
        if now - spoken >= HEARTBEAT_SECONDS:
            terminal.say(f"    … waiting for {url}, {now - started:.0f} s: {reason}")
            spoken = now
        clock.sleep(POLL_SECONDS)


def report_trouble(engine: Engine, stack: str) -> int:
    """Show each container of the stack that is not healthy, with its last log lines; return their number."""
    containers = engine.containers(stack)
    found = list(troubled(engine, containers))
    found += [(one, "not healthy yet") for one in containers if one.health == "starting"]
    for container, reason in found:
        terminal.say("")
        terminal.say(f"{container.name} ({container.service}): {reason}. Its last log lines:")
        text = engine.last_lines(container.id, LOG_LINES).strip()
        for line in text.splitlines() or ["(it wrote nothing)"]:
            terminal.say(f"    {line}")
    return len(found)
