"""An HTTP server with a thread per connection that a test can stop and start again on the same port.

While it is stopped, new connections are refused and open ones are cut off, as by a dead server. The port stays
reserved.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from testbed.certificates import Certificate

BACKLOG = 128
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104
"""Where a server listens that containers reach through their network's gateway."""


class StoppableServer(ThreadingHTTPServer):
    """The server; `owner` is the object that its handlers serve. It is created stopped."""

    daemon_threads = True
    block_on_close = False  # handlers may wait for something that the test releases
    request_queue_size = BACKLOG

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        owner: Any,
        *,
        context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(address, handler, bind_and_activate=False)
        self.server_bind()  # bound and not listening: refuses connections and keeps the port
        self.owner = owner
        self._context = context
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.server_address[1])

    @property
    def running(self) -> bool:
        """Whether it accepts connections."""
        return self._thread is not None

    def start(self) -> None:
        """Accept connections."""
        if self._thread is None:
            self.server_activate()
            self._thread = threading.Thread(
                target=self.serve_forever, args=(0.02,), name=type(self.owner).__name__, daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Refuse new connections, and cut off the open ones."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self.shutdown()
        thread.join()
        # Bound before the old socket is closed: in between another process could take the port.
        old, self.socket = self.socket, socket.socket(self.address_family, self.socket_type)
        self.server_bind()
        old.close()  # this also drops connections that were not accepted yet
        with self._guard:
            connections = tuple(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self.server_close()

    def server_bind(self) -> None:
        """Bind, without HTTPServer's lookup of this machine's name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; the TLS handshake happens later, in the connection's own thread."""
        connection, address = self.socket.accept()
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._guard:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Forget a closed connection."""
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up, are cut off or do not trust the certificate."""
        if not isinstance(sys.exception(), (OSError, ValueError)):
            super().handle_error(request, client_address)


class StandIn:
    """A stand-in that runs a server in this process while its context is entered."""

    def __init__(
        self, host: str, handler: type[BaseHTTPRequestHandler], *, certificate: Certificate | None = None
    ) -> None:
        context = certificate.server_context() if certificate else None
        self._scheme = "https" if certificate else "http"
        self._server = StoppableServer((host, 0), handler, self, context=context)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return self._server.port

    def url(self, host: str = "127.0.0.1") -> str:
        """Return the URL for a client that reaches this machine as `host`."""
        return f"{self._scheme}://{host}:{self.port}"


class QuietHandler(BaseHTTPRequestHandler):
    """A connection that logs nothing to the terminal; it also reads chunked bodies."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # without it each answer waits 40 ms for the client's delayed ACK
    server: StoppableServer

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def read_body(self) -> bytes:
        """Return the request's body, whether it has a length or is chunked."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(pieces)
