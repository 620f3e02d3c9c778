"""Gives a server on this machine a name on a Docker network, for containers that connect to fixed addresses.

    with Forwarder(engine, image=…, network=…, name="otlp.datadog.invalid", port=443, to=(gateway, datadog.port)):
        ...

A container forwards the connections. It runs this file, which therefore imports only the standard library.
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
PYTHON = "/opt/letta/venv/bin/python"
"""Where the server's image has Python."""


class Forwarder:
    """The container, of the server's image; `to` is the address by which containers reach the server."""

    def __init__(
        self,
        engine: docker.DockerClient,
        *,
        image: str,
        network: str,
        name: str,
        port: int,
        to: tuple[str, int],
    ) -> None:
        self._engine, self._network, self._name = engine, network, name
        self._container: Any = engine.containers.create(
            image,
            name=f"letta-test-forwarder-{secrets.token_hex(3)}",
            entrypoint=[PYTHON],
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


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward data until one side closes the connection; then close the other."""
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _listen(port: int, host: str, there: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            back, to = await asyncio.open_connection(host, there)
            await asyncio.gather(forward(reader, to), forward(back, writer))
        writer.close()

    server = await asyncio.start_server(serve, port=port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_listen(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
