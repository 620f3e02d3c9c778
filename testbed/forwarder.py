"""Gives a server of this machine a name on one of Docker's networks, for containers whose addresses are fixed.

    with Forwarder(engine, image=…, network=…, name="otlp.datadog.invalid", port=443, to=(gateway, datadog.port)):
        ...

A container passes on what comes; it runs this file, so nothing but Python's own library is used here.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import docker

PIECE = 64 * 1024


class Forwarder:
    """The container. `image` has Python at `python`, `to` is what containers reach the server by."""

    def __init__(
        self,
        engine: docker.DockerClient,
        *,
        image: str,
        network: str,
        name: str,
        port: int,
        to: tuple[str, int],
        python: str = "/opt/letta/venv/bin/python",
    ) -> None:
        self._engine, self._network, self._name = engine, network, name
        self._container: Any = engine.containers.create(
            image,
            name=f"letta-test-forwarder-{secrets.token_hex(3)}",
            entrypoint=[python],
            command=["-c", Path(__file__).read_text(), str(port), to[0], str(to[1])],
        )

    def __enter__(self) -> Self:
        try:
            self._engine.networks.get(self._network).connect(self._container, aliases=[self._name])
            self._container.start()
        except BaseException:
            self._container.remove(force=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.remove(force=True)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until one side hangs up; then hang up on the other."""
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _forward(port: int, host: str, there: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            back, to = await asyncio.open_connection(host, there)
            await asyncio.gather(pass_on(reader, to), pass_on(back, writer))
        writer.close()

    server = await asyncio.start_server(serve, port=port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_forward(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
