"""Pulumi's docker plugin without a Docker engine: it decides what changes, and nothing is ever changed.

An environment variable points the CLI to it. The real plugin checks inputs and compares them with the state, so
that previews and updates take the steps that they take anywhere; what would create, read, update or delete
something is answered here, and what was deleted is recorded.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

_SERVICE = "/pulumirpc.ResourceProvider/"
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Pulumi's mark of a value that is not known before something exists."""
_READ_BACK_EMPTY: dict[str, Any] = {
    "command": [],
    "entrypoints": [],
    "envs": [],
    "networkDatas": [],
    "options": {},
    "securityOpts": [],
}
"""What engines answer where nothing was set; the plugin takes an answer that is missing for a change."""


class EnginelessDocker(grpc.GenericRpcHandler):
    """Answers Pulumi in the place of the docker plugin."""

    def __init__(self, plugin: grpc.Channel) -> None:
        self._plugin = plugin
        self._own: Mapping[str, Callable[[bytes], bytes]] = {
            "Create": self._create,
            "Read": self._read,
            "Update": self._update,
            "Delete": self._delete,
        }
        self.deleted: list[str] = []
        """URNs of what was deleted, in order."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Return what handles a call, all of which have one request and one response."""
        method = handler_call_details.method.removeprefix(_SERVICE)
        own = self._own.get(method)

        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            if own:
                return own(request)
            try:
                return self._ask(method, request)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details() or "")

        return grpc.unary_unary_rpc_method_handler(handle)

    def _ask(self, method: str, request: bytes) -> bytes:
        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._plugin.unary_unary(f"{_SERVICE}{method}")
        return ask(request)

    def _create(self, request: bytes) -> bytes:
        asked = provider_pb2.CreateRequest.FromString(request)
        previewed, asked.preview = asked.preview, True
        # What the plugin would create: inputs, defaults, and marks for what only an engine could say.
        planned = provider_pb2.CreateResponse.FromString(self._ask("Create", asked.SerializeToString()))
        if not previewed:
            planned.id = secrets.token_hex(32)
            fields = planned.properties.fields
            for key in [key for key, value in fields.items() if value.string_value == _UNKNOWN]:
                del fields[key]
                if key in _READ_BACK_EMPTY:
                    planned.properties[key] = _READ_BACK_EMPTY[key]
        return planned.SerializeToString()

    def _read(self, request: bytes) -> bytes:
        asked = provider_pb2.ReadRequest.FromString(request)
        return provider_pb2.ReadResponse(
            id=asked.id, properties=asked.properties, inputs=asked.inputs
        ).SerializeToString()

    def _update(self, request: bytes) -> bytes:
        asked = provider_pb2.UpdateRequest.FromString(request)
        return provider_pb2.UpdateResponse(properties=asked.news).SerializeToString()

    def _delete(self, request: bytes) -> bytes:
        self.deleted.append(provider_pb2.DeleteRequest.FromString(request).urn)
        return empty_pb2.Empty().SerializeToString()


@contextmanager
def running(plugin: Path, environment: Mapping[str, str]) -> Iterator[tuple[EnginelessDocker, dict[str, str]]]:
    """Run it; yield it and the variables that point the Pulumi CLI to it.

    Args:
        plugin: the real plugin's program.
        environment: the program's variables.
    """
    with subprocess.Popen(
        [plugin], env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        try:
            with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
                docker = EnginelessDocker(channel)
                server = grpc.server(ThreadPoolExecutor(max_workers=16))
                server.add_generic_rpc_handlers((docker,))
                port = server.add_insecure_port("127.0.0.1:0")
                server.start()
                yield docker, {"PULUMI_DEBUG_PROVIDERS": f"docker:{port}"}
                server.stop(grace=None).wait()
        finally:
            process.terminate()
