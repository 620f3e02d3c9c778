"""Load on one server that costs this machine little: a few connections, each with one request at a time."""

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
    """The request that is repeated."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A server's address and password."""

    host: str
    port: int
    password: str


def requests_per_second(
    server: Server, request: Request, *, connections: int = 8, seconds: float = 8.0, warm_up: float = 1.0
) -> float:
    """Send requests over persistent connections for `warm_up` and then `seconds`; return the rate in the latter.

    Raises:
        LoadError: at the first unsuccessful answer.
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
    """Send requests until then, and yield the time of each answer."""
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
