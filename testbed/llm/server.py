"""An OpenAI-compatible LLM in this process: it streams, calls tools and embeds.

    with LanguageModel() as llm:
        url = llm.url(gateway)       # OPENAI_BASE_URL of a container whose network has this gateway

`testbed.llm.script` defines its replies. It was tested with Letta 0.16.8 and letta-client 1.12.1:

    client = Letta(base_url=…, api_key=<server password>)
    client.models.list()    # handles are `openai-proxy/<model>`: the base URL is not OpenAI's
    agent = client.agents.create(
        model="openai-proxy/stand-in", embedding="openai/text-embedding-3-small", memory_blocks=[…]
    )
    client.agents.messages.create(agent.id, input="hello")
    client.agents.messages.create(agent.id, input="hello", streaming=True, stream_tokens=True, background=…)
    client.agents.blocks.retrieve("human", agent_id=agent.id)
    client.tools.upsert(source_code=…), client.agents.tools.attach(tool.id, agent_id=agent.id)
    client.agents.passages.create(agent.id, text=…), client.agents.passages.search(agent.id, query=…)
    client.agents.delete(agent.id)

`client.agents.messages.stream` works but is deprecated. Letta tries a failing model three times (429, 5xx). It
was used with the agent types letta_v1_agent, memgpt_v2_agent and memgpt_agent.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, cast

from testbed.llm.openai_api import chunks, completion, embeddings
from testbed.llm.script import Reply, reply_to
from testbed.stoppable_server import EVERY_ADDRESS, QuietHandler, StandIn

MODELS = ("stand-in", "gpt-4o-mini")

LONGEST_HOLD = 60.0
"""Seconds after which a held stream continues even if it was not released, so that a failed test still ends."""

FREE_CHUNKS = 5
"""Chunks that pass before a stream can be held: the first one has the role only, and the server forwards a word
when it has seen the next."""


class LanguageModel(StandIn):
    """The server."""

    def __init__(self, *, host: str = EVERY_ADDRESS) -> None:
        self.hold_expired = False
        """Whether a held stream continued because it was not released in time."""
        self._closing = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        super().__init__(host, _Handler)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._flowing.set()
        super().__exit__(kind, error, trace)

    def url(self, host: str = "127.0.0.1") -> str:
        """Return the base URL for a client that reaches this machine as `host`."""
        return f"{super().url(host)}/v1"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Pause streams after their first words until the end of the context, or for `LONGEST_HOLD`."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    def wait_while_held(self, chunk: int) -> bool:
        """Wait until chunk number `chunk` of a stream may be sent; return False when the server is closing."""
        if chunk >= FREE_CHUNKS and not self._flowing.wait(timeout=LONGEST_HOLD):
            self.hold_expired = True
        return not self._closing.is_set()


class _Handler(QuietHandler):
    @property
    def model(self) -> LanguageModel:
        return cast("LanguageModel", self.server.owner)

    def do_GET(self) -> None:  # noqa: N802
        path = self.path.partition("?")[0]
        models = [{"id": name, "object": "model", "created": 1700000000, "owned_by": "tests"} for name in MODELS]
        named = [model for model in models if path == f"/v1/models/{model['id']}"]
        if path == "/v1/models":
            self._send({"object": "list", "data": models})
        elif named:
            self._send(named[0])
        else:
            self._fail(404, f"no such path: GET {path}")

    def do_POST(self) -> None:  # noqa: N802
        try:
            body = json.loads(self.read_body())
        except ValueError:
            self._fail(400, "the body is not JSON")
            return
        match self.path.partition("?")[0]:
            case "/v1/chat/completions":
                self._chat(body)
            case "/v1/embeddings":
                self._send(embeddings(body))
            case path:
                self._fail(404, f"no such path: POST {path}")

    def _chat(self, body: dict[str, Any]) -> None:
        reply = reply_to(body)
        if reply.status != 200:
            self._fail(reply.status, "The script asks for this error.")
        elif body.get("stream"):
            self._stream(body, reply)
        else:
            self._send(completion(body, reply))

    def _stream(self, body: dict[str, Any], reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, chunk in enumerate(chunks(body, reply)):
            if not self.model.wait_while_held(number):
                self.close_connection = True  # cut off in mid-stream, without the final chunk
                return
            self._write_chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self._write_chunk(b"data: [DONE]\n\n")
        self._write_chunk(b"")

    def _write_chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _send(self, answer: Mapping[str, Any], status: int = 200) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _fail(self, status: int, message: str) -> None:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        self._send({"error": {"message": message, "type": kind, "param": None, "code": None}}, status)
