"""The LLM stand-in: its replies, and that they have OpenAI's wire format."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from testbed.llm.openai_api import embed
from testbed.llm.script import Call, Reply, reply_to
from testbed.llm.server import LanguageModel

pytestmark = pytest.mark.unit


def tool(name: str, /, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TEXT = {"type": "string"}
INSERT = tool("memory_insert", label=TEXT, new_string=TEXT, insert_line={"type": ["integer", "null"]})
APPEND = tool("core_memory_append", thinking=TEXT, label=TEXT, content=TEXT, request_heartbeat={"type": "boolean"})
SEND = tool("send_message", thinking=TEXT, message=TEXT)
ROLL = tool("roll", sides={"type": "integer"})


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def wrapped(kind: str, **content: str) -> dict[str, str]:
    return user(json.dumps({"type": kind, "time": "now", **content}))


def ask(*messages: Any, tools: tuple[dict[str, Any], ...] = (), **more: Any) -> Reply:
    return reply_to({"model": "stand-in", "messages": list(messages), "tools": list(tools), **more})


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (user("hello"), "You said: hello"),
        (wrapped("user_message", message="hello"), "You said: hello"),
        (user('{"a": 1}'), 'You said: {"a": 1}'),
        (
            {"role": "user", "content": [{"type": "text", "text": "hello"}, {"type": "image_url"}]},
            "You said: hello",
        ),
        (user("count to: 4"), "1 2 3 4"),
        (user("x" * 600), "You said: " + "x" * 500),
        ({"role": "system", "content": "be kind"}, "I am here."),
    ],
)
def test_a_message_is_answered_by_its_script(message: dict[str, Any], text: str) -> None:
    assert ask(message) == Reply(text=text)


def test_only_the_last_message_counts() -> None:
    assert (
        ask(user("call tool: roll {}"), {"role": "assistant", "content": "no"}, user("hello")).text
        == "You said: hello"
    )


def test_the_reply_to_remember_calls_the_memory_tool_that_was_offered() -> None:
    blank = {"label": "human"}
    assert ask(user("remember: I am Ada"), tools=(INSERT, ROLL)).calls == (
        Call(name="memory_insert", arguments={**blank, "new_string": "I am Ada", "insert_line": -1}),
    )
    (call,) = ask(user("remember in persona: calm\nand kind"), tools=(SEND, APPEND)).calls
    assert call.name == "core_memory_append"
    assert call.arguments == {
        "thinking": "", "label": "persona", "content": "calm\nand kind", "request_heartbeat": True,
    }  # fmt: skip


def test_without_a_memory_tool_the_reply_says_so() -> None:
    assert ask(user("remember: x"), tools=(ROLL,)).text == "I cannot remember: no memory tool among ['roll']"


def test_tools_are_called_as_asked_several_at_once_if_allowed() -> None:
    message = user('call tool: roll {"sides": 6}\ncall tool: roll {"sides": 8}')
    six, eight = (Call(name="roll", arguments={"sides": sides}) for sides in (6, 8))

    assert ask(message, tools=(ROLL,)).calls == (six, eight)
    assert ask(message, tools=(ROLL,), parallel_tool_calls=False).calls == (six,)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("call tool: fly {}", "I cannot call fly: it is not among ['roll']"),
        ("call tool: roll {sides}", "I cannot call roll: Expecting property name"),
    ],
)
def test_a_call_that_cannot_be_made_is_answered_with_the_reason(line: str, complaint: str) -> None:
    assert (ask(user(line), tools=(ROLL,)).text or "").startswith(complaint)


def conversation_with_results(*results: str) -> list[dict[str, Any]]:
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": "roll"}} for n in range(len(results))]
    answers = [
        {"role": "tool", "tool_call_id": f"c{n}", "content": json.dumps({"status": "OK", "message": result})}
        for n, result in enumerate(results)
    ]
    return [user("call tool: roll"), {"role": "assistant", "content": None, "tool_calls": calls}, *answers]


def test_tool_results_are_reported_even_when_a_heartbeat_follows() -> None:
    messages = conversation_with_results("4", "2")

    assert ask(*messages, tools=(ROLL,)).text == "Tool roll returned: 4; Tool roll returned: 2"
    assert ask(*messages, wrapped("heartbeat", reason="go on")).text == ask(*messages).text


def test_an_agent_that_speaks_only_through_a_tool_gets_all_text_as_a_call_of_it() -> None:
    assert ask(user("hello"), tools=(SEND, APPEND), tool_choice="required").calls == (
        Call(name="send_message", arguments={"thinking": "", "message": "You said: hello"}),
    )


def test_a_forced_tool_is_called_with_what_its_schema_requires() -> None:
    forced = {"type": "function", "function": {"name": "roll"}}

    assert ask(user("hello"), tools=(INSERT, ROLL), tool_choice=forced).calls == (
        Call(name="roll", arguments={"sides": 0}),
    )
    assert ask(user("hello"), tools=(INSERT,), tool_choice="required").calls[0].name == "memory_insert"


def test_embeddings_are_unit_vectors_close_to_each_other_for_shared_words() -> None:
    def similarity(one: str, other: str) -> float:
        return sum(a * b for a, b in zip(embed(one, 1536), embed(other, 1536), strict=True))

    assert math.isclose(similarity("the cat sleeps", "The cat, sleeps!"), 1.0)
    assert (
        similarity("the cat sleeps", "the cat eats") > 0.5 > abs(similarity("the cat sleeps", "rain falls today"))
    )
    assert math.isclose(similarity("", ""), 1.0)


@pytest.fixture
def llm() -> Iterator[LanguageModel]:
    with LanguageModel(host="127.0.0.1") as server:
        yield server


@pytest.fixture
def client(llm: LanguageModel) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=llm.url()) as http:
        yield http


def events(response: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "stand-in", "messages": [user(text)], **more}


def test_models_are_listed_as_openai_lists_them(client: httpx.Client) -> None:
    listed = client.get("/models").json()

    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["stand-in", "gpt-4o-mini"]
    assert client.get("/models/stand-in").json() == listed["data"][0]


def test_a_completion_comes_in_one_piece(client: httpx.Client) -> None:
    answer = client.post("/chat/completions", json=chat("hello")).json()

    assert answer["object"] == "chat.completion"
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "You said: hello", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert (
        answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    )


def test_a_completion_comes_in_chunks_with_its_usage_last(client: httpx.Client) -> None:
    body = chat("count to: 3", stream=True, stream_options={"include_usage": True})
    with client.stream("POST", "/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        *chunks, last = events(response)

    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    assert [delta["content"] for delta in deltas[1:-1]] == ["1", " 2", " 3"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert {chunk["usage"] for chunk in chunks} == {None}
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 3


def test_a_streamed_tool_call_adds_up_to_the_one_that_is_not_streamed(client: httpx.Client) -> None:
    body = chat('call tool: roll {"sides": 6}\ncall tool: roll {"sides": 20}', tools=[ROLL])
    whole = client.post("/chat/completions", json=body).json()["choices"][0]
    with client.stream("POST", "/chat/completions", json={**body, "stream": True}) as response:
        choices = [chunk["choices"][0] for chunk in events(response)]

    pieces = [piece for choice in choices for piece in choice["delta"].get("tool_calls", ())]
    for index, call in enumerate(whole["message"]["tool_calls"]):
        own = [piece for piece in pieces if piece["index"] == index]
        assert own[0]["id"].startswith("call_")
        assert own[0]["function"]["name"] == call["function"]["name"]
        assert all("id" not in piece for piece in own[1:])
        assert "".join(piece["function"]["arguments"] for piece in own) == call["function"]["arguments"]
    assert choices[-1]["finish_reason"] == whole["finish_reason"] == "tool_calls"


def test_equal_requests_get_equal_ids_and_different_requests_different_ones(client: httpx.Client) -> None:
    ids = [client.post("/chat/completions", json=chat(text)).json()["id"] for text in ("a", "a", "b")]

    assert ids[0] == ids[1] != ids[2]


def test_embeddings_come_as_numbers_or_packed(client: httpx.Client) -> None:
    body = {"model": "text-embedding-3-small", "input": ["one", "two"]}
    plain = client.post("/embeddings", json=body).json()["data"]
    packed = client.post("/embeddings", json={**body, "encoding_format": "base64"}).json()["data"]

    assert [item["index"] for item in plain] == [0, 1]
    for one, other in zip(plain, packed, strict=True):
        assert list(struct.unpack("<1536f", base64.b64decode(other["embedding"]))) == pytest.approx(
            one["embedding"]
        )


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("POST", "/responses", b"{}", 404),
        ("POST", "/chat/completions", b"{", 400),
        ("POST", "/chat/completions", json.dumps(chat("fail: 429")).encode(), 429),
        ("POST", "/chat/completions", json.dumps(chat("fail: 503", stream=True)).encode(), 503),
    ],
)
def test_errors_have_openais_shape(
    client: httpx.Client, method: str, path: str, content: bytes | None, status: int
) -> None:
    answer = client.request(method, path, content=content)

    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_held_stream_continues_when_it_is_released(llm: LanguageModel, client: httpx.Client) -> None:
    with llm.held():
        response = client.send(
            client.build_request("POST", "/chat/completions", json=chat("count to: 5", stream=True)), stream=True
        )
        lines = response.iter_lines()
        first = next(lines)
    rest = "".join(lines)

    assert '"role"' in first
    assert [f'"{n}"' if n == 1 else f'" {n}"' for n in range(1, 6) if f'{n}"' not in rest] == []
    assert "[DONE]" in rest


def test_closing_the_server_cuts_off_held_streams_and_open_connections() -> None:
    with LanguageModel(host="127.0.0.1") as llm, httpx.Client(base_url=llm.url()) as client:
        client.get("/models")
        held = llm.held()
        held.__enter__()
        request = client.build_request("POST", "/chat/completions", json=chat("count to: 5", stream=True))
        response = client.send(request, stream=True)
        llm.__exit__(None, None, None)

        with pytest.raises(httpx.RemoteProtocolError):
            response.read()
        with pytest.raises(httpx.TransportError):
            client.get("/models")
