"""Load on one server, at little cost here: a few connections, each waiting for its answer."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_TIMEOUT_SECONDS = 60


class LoadError(RuntimeError):
    """A server answered with an error, or not at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is asked again and again."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """Where, and the password."""

    host: str
    port: int
    password: str


def requests_per_second(
    server: Server, request: Request, *, connections: int = 8, seconds: float = 8.0, warm_up: float = 1.0
) -> float:
    """Send requests over kept connections for `warm_up` and then `seconds`, and count the answers of the latter.

    Raises:
        LoadError: at the first answer that is no success.
    """
    begin = time.monotonic() + warm_up
    end = begin + seconds
    counts = [0] * connections
    failures: list[str] = []

    def work(number: int) -> None:
        try:
            for finished in _answers(server, request, until=end):
                if failures:
                    return
                counts[number] += begin <= finished < end
        except (LoadError, OSError, http.client.HTTPException) as error:
            failures.append(f"{request.method} {request.path}: {error!r}")

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(warm_up + seconds + _TIMEOUT_SECONDS)
    if failures:
        raise LoadError(failures[0])
    return sum(counts) / seconds


def _answers(server: Server, request: Request, *, until: float) -> Iterator[float]:
    """Ask until then, and give when each answer was there."""
    body = None if request.body is None else json.dumps(request.body).encode()
    headers = {"Authorization": f"Bearer {server.password}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection(server.host, server.port, timeout=_TIMEOUT_SECONDS)
    try:
        while time.monotonic() < until:
            connection.request(request.method, request.path, body, headers)
            response = connection.getresponse()
            content = response.read()
            if not 200 <= response.status < 300:
                raise LoadError(f"status {response.status}: {content[:300]!r}")
            yield time.monotonic()
    finally:
        connection.close()
