"""Waits until a stack answers end to end, and shows which containers are not healthy when it does not."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from typing import Any

from operations.checks.drift import Condition, Difference
from operations.console import terminal
from operations.console.errors import OperationError
from operations.engine.protocol import Engine, troubled

LOG_LINES = 20
POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 10.0
REQUEST_SECONDS = 5.0
_REFUSED = frozenset({"status 401", "status 403"})
_MAY_END = frozenset({Condition.STARTING, Condition.UNHEALTHY, Condition.RESTARTING})


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """Another server would get the password."""

    def redirect_request(self, *_: Any) -> None:
        return None


def answer(url: str, password: str | None = None) -> str | None:
    """Request a URL, with a password if there is one; return None when it succeeds, else the reason why not."""
    # Not through a proxy: the stack is on this machine, or where DOCKER_HOST says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirection())
    request = urllib.request.Request(url)  # noqa: S310 - an output of the stack
    if password is not None:
        request.add_unredirected_header("Authorization", f"Bearer {password}")
    try:
        with opener.open(request, timeout=REQUEST_SECONDS) as response:
            return None if response.status < 300 else f"status {response.status}"
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error))


def _wait(ask: Callable[[], str | None], what: str, problem: str, *, seconds: float, clock: Any) -> None:
    """Poll until `ask` returns no reason to wait; raise an error after `seconds`, at `what`."""
    started = spoken = clock.monotonic()
    while (reason := ask()) is not None:
        now = clock.monotonic()
        if now - started > seconds:
            raise OperationError(
                f"{problem} after {seconds:.0f} s: {reason}",
                where=what,
                fix=["`make status` and `make doctor` report more"],
            )
        if now - spoken >= HEARTBEAT_SECONDS:
            terminal.say(f"    … waiting for {what}, {now - started:.0f} s: {reason}")
            spoken = now
        clock.sleep(POLL_SECONDS)


def wait_until_answering(
    url: str,
    *,
    seconds: float,
    ask: Callable[[str], str | None] = answer,
    clock: Any = time,
) -> None:
    """Poll a URL until it answers with success.

    Raises:
        OperationError: when it has not after `seconds`, or at once when it refuses the password.
    """

    def reason() -> str | None:
        found = ask(url)
        if found in _REFUSED:
            raise OperationError(
                f"the API refuses the password in the stack's outputs: {found}",
                where=url,
                fix=["another server may answer at this address: `make status` shows the stack's own"],
            )
        return found

    _wait(reason, url, "the stack does not answer", seconds=seconds, clock=clock)


def wait_until_well(look: Callable[[], Collection[Difference]], *, seconds: float, clock: Any = time) -> None:
    """Poll until every service of the stack runs and is healthy.

    Args:
        look: returns how the engine differs from the state.
        seconds: how long services may take to become healthy.
        clock: for tests.

    Raises:
        OperationError: when one is not after `seconds`; at once when something is gone or does not run.
    """

    def reason() -> str | None:
        found = [one for one in look() if one.needed]
        lasting = [one for one in found if one.condition not in _MAY_END]
        if lasting:
            raise OperationError(
                f"the stack is not complete: {'; '.join(map(str, lasting))}",
                fix=["`make up` again brings it back; if it does not, `docker logs` of it says why"],
            )
        return "; ".join(map(str, found)) or None

    _wait(reason, "all services", "not all services are healthy", seconds=seconds, clock=clock)


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
