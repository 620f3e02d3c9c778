"""An OpenAI-compatible LLM in this process: it streams, calls tools, embeds, and remembers what it was asked.

    with LanguageModel() as llm:
        url = llm.url(gateway)       # OPENAI_BASE_URL of a container whose network has this gateway
        ...
        llm.requests                 # what came, with headers

What it says is in `testbed.llm.script`. Seen with it, Letta 0.16.8 and letta-client 1.12.1:

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

`client.agents.messages.stream` works but is deprecated. Letta asks a failing model three times (429, 5xx). The
agent types letta_v1_agent, memgpt_v2_agent and memgpt_agent were tried.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

from testbed.llm.openai_api import chunks, completion, embeddings
from testbed.llm.script import Reply, reply_to
from testbed.stoppable_server import QuietHandler, StoppableServer

LONGEST_HOLD = 60.0
"""Seconds after which a stream goes on although nobody released it, so that a failed test still ends."""

FREE_CHUNKS = 5
"""Chunks that pass before a stream can be held: the first one names the role only, and the server passes a
word on when it has seen the next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request as it came; header names in lower case, `body` decoded from JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


class LanguageModel:
    """The server. `models` are what it lists, with `api_key` it refuses every other key.

    `token_delay` (seconds, may be changed at any time) makes streams slow, `held()` makes them stop.
    """

    def __init__(
        self,
        *,
        host: str = "0.0.0.0",  # noqa: S104 - containers come through their network's gateway
        port: int = 0,
        models: tuple[str, ...] = ("stand-in", "gpt-4o-mini"),
        api_key: str | None = None,
        token_delay: float = 0.0,
    ) -> None:
        self.models = models
        self.api_key = api_key
        self.token_delay = token_delay
        self.hold_expired = False
        """Whether a stream went on because it was held for too long: then nobody has read what it had said."""
        self._requests: list[Request] = []
        self._came = threading.Condition()
        self._closing = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._server = StoppableServer((host, port), _Handler, self)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._flowing.set()
        self._server.close()

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return self._server.port

    def url(self, host: str = "127.0.0.1") -> str:
        """What a client that reaches this machine as `host` has to use as base URL."""
        return f"http://{host}:{self.port}/v1"

    @property
    def requests(self) -> tuple[Request, ...]:
        """All requests so far, oldest first."""
        with self._came:
            return tuple(self._requests)

    def forget(self) -> None:
        """Forget the requests so far."""
        with self._came:
            self._requests.clear()

    def wait_for(self, wanted: Callable[[Request], bool], *, seconds: float = 30.0) -> Request:
        """Give the first request that is `wanted`, which may be still to come; TimeoutError after `seconds`."""
        with self._came:
            found = self._came.wait_for(lambda: [r for r in self._requests if wanted(r)], timeout=seconds)
        if not found:
            raise TimeoutError(f"no such request within {seconds:g} s")
        return found[0]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, streams stop after their first words; afterwards they go on (so does one held too long)."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    def note(self, request: Request) -> None:
        """Record a request."""
        with self._came:
            self._requests.append(request)
            self._came.notify_all()

    def pace(self, token: int) -> bool:
        """Wait as long as token number `token` of a stream has to; False when the server is closing."""
        if token >= FREE_CHUNKS and not self._flowing.wait(timeout=LONGEST_HOLD):
            self.hold_expired = True
        if token and self.token_delay:
            self._closing.wait(self.token_delay)
        return not self._closing.is_set()


class _Handler(QuietHandler):
    @property
    def model(self) -> LanguageModel:
        return cast("LanguageModel", self.server.owner)

    def do_GET(self) -> None:  # noqa: N802
        self._receive(None)
        path = self.path.partition("?")[0]
        models = [
            {"id": name, "object": "model", "created": 1700000000, "owned_by": "tests"}
            for name in self.model.models
        ]
        named = [model for model in models if path == f"/v1/models/{model['id']}"]
        if not self._authorized():
            return
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
            self._receive(None)
            self._fail(400, "the body is not JSON")
            return
        self._receive(body)
        if not self._authorized():
            return
        match self.path.partition("?")[0]:
            case "/v1/chat/completions":
                self._chat(body)
            case "/v1/embeddings":
                self._send(embeddings(body))
            case path:
                self._fail(404, f"no such path: POST {path}")

    def _receive(self, body: Any) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.model.note(Request(method=self.command, path=self.path, headers=headers, body=body))

    def _authorized(self) -> bool:
        key = self.model.api_key
        if key is None or self.headers.get("authorization") == f"Bearer {key}":
            return True
        self._fail(401, "Incorrect API key provided.", code="invalid_api_key")
        return False

    def _chat(self, body: dict[str, Any]) -> None:
        reply = reply_to(body)
        if reply.status != 200:
            self._fail(reply.status, "The script says so.")
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
            if not self.model.pace(number):
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

    def _fail(self, status: int, message: str, code: str | None = None) -> None:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        self._send({"error": {"message": message, "type": kind, "param": None, "code": code}}, status)
