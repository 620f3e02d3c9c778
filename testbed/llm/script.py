"""The LLM stand-in's replies: a pure function of the chat completion request.

The last message decides; equal requests get equal replies.

| the user's message | the reply |
|---|---|
| `remember: TEXT`, `remember in LABEL: TEXT` | a call of the memory tool that was offered (block `human`) |
| `call tool: NAME {"argument": 1}` | that tool call; several lines, several calls if parallel ones are allowed |
| `count to: 30` | `1 2 3 … 30`, for long streams |
| `fail: 429` | an HTTP error of that status |
| anything else | `You said: …`, at most 500 characters of it |

After tool results the reply is `Tool NAME returned: …`. Agents that can speak only through the tool `send_message`
(the memgpt types) get all text as a call of it. Letta wraps messages and tool results in JSON, which is unwrapped
first; its heartbeats do not count as messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_ECHO = 500
SPEAKING_TOOL = "send_message"
NOTICES = frozenset({"heartbeat", "login", "system_alert"})
_REMEMBER = re.compile(r"remember(?: in (?P<label>\S+))?: *(?P<text>.+)", re.DOTALL)
_CALL = re.compile(r"^call tool: *(?P<name>\S+) *(?P<arguments>\{.*\})? *$", re.MULTILINE)
_COUNT = re.compile(r"count to: *(?P<number>\d{1,5}) *")
_FAIL = re.compile(r"fail: *(?P<status>[45]\d\d) *")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A tool call."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The model's answer: text, tool calls, or an HTTP error status."""

    text: str | None = None
    calls: tuple[Call, ...] = ()
    status: int = 200


def reply_to(request: Mapping[str, Any]) -> Reply:
    """Return the reply to the body of a `POST /v1/chat/completions`."""
    tools = {tool["function"]["name"]: tool["function"] for tool in request.get("tools") or ()}
    reply = _script(request.get("messages") or (), tools)
    choice = request.get("tool_choice")
    if reply.text is not None:
        if SPEAKING_TOOL in tools:
            reply = Reply(calls=(Call(name=SPEAKING_TOOL, arguments={"message": reply.text}),))
        elif isinstance(choice, dict):
            reply = Reply(calls=(Call(name=choice["function"]["name"], arguments={}),))
        elif choice == "required" and tools:
            reply = Reply(calls=(Call(name=next(iter(tools)), arguments={}),))
    calls = reply.calls[:1] if request.get("parallel_tool_calls") is False else reply.calls
    return Reply(
        text=reply.text,
        calls=tuple(_completed(call, tools.get(call.name, {})) for call in calls),
        status=reply.status,
    )


def _script(messages: Sequence[Mapping[str, Any]], tools: Mapping[str, Any]) -> Reply:
    said = [message for message in messages if not _is_notice(message)]
    results: list[Mapping[str, Any]] = []
    while said and said[-1]["role"] == "tool":
        results.insert(0, said.pop())
    if results:
        names = {
            call["id"]: call["function"]["name"]
            for message in messages
            for call in message.get("tool_calls") or ()
        }
        return Reply(
            text="; ".join(
                f"Tool {names.get(result['tool_call_id'], '?')} returned: {_text(result)}" for result in results
            )
        )
    if not said or said[-1]["role"] != "user":
        return Reply(text="I am here.")
    return _answer(_text(said[-1]).strip(), tools)


def _answer(text: str, tools: Mapping[str, Any]) -> Reply:
    reply = Reply(text=f"You said: {text[:LONGEST_ECHO]}")
    if match := _REMEMBER.fullmatch(text):
        reply = _remember(match["label"] or "human", match["text"], tools)
    elif matches := list(_CALL.finditer(text)):
        reply = _calls(matches, tools)
    elif match := _COUNT.fullmatch(text):
        reply = Reply(text=" ".join(str(number) for number in range(1, int(match["number"]) + 1)))
    elif match := _FAIL.fullmatch(text):
        reply = Reply(status=int(match["status"]))
    return reply


def _remember(label: str, text: str, tools: Mapping[str, Any]) -> Reply:
    memory_tools: dict[str, dict[str, Any]] = {
        "memory_insert": {"label": label, "new_string": text, "insert_line": -1},
        "core_memory_append": {"label": label, "content": text},
        "memory": {"command": "insert", "path": f"/memories/{label}", "insert_line": 0, "insert_text": text},
        "archival_memory_insert": {"content": text},
    }
    for name, arguments in memory_tools.items():
        if name in tools:
            return Reply(calls=(Call(name=name, arguments=arguments),))
    return Reply(text=f"I cannot remember: no memory tool among {sorted(tools)}")


def _calls(matches: Sequence[re.Match[str]], tools: Mapping[str, Any]) -> Reply:
    calls = []
    for match in matches:
        if match["name"] not in tools:
            return Reply(text=f"I cannot call {match['name']}: it is not among {sorted(tools)}")
        try:
            calls.append(Call(name=match["name"], arguments=json.loads(match["arguments"] or "{}")))
        except json.JSONDecodeError as error:
            return Reply(text=f"I cannot call {match['name']}: {error}")
    return Reply(calls=tuple(calls))


def _completed(call: Call, tool: Mapping[str, Any]) -> Call:
    """Add the arguments that the schema requires, and request another turn after the call."""
    schema = tool.get("parameters") or {}
    properties = schema.get("properties") or {}
    filled = {
        name: _value(properties.get(name) or {})
        for name in schema.get("required") or ()
        if name not in call.arguments
    }
    if "request_heartbeat" in properties and call.name != SPEAKING_TOOL:
        filled["request_heartbeat"] = True
    return Call(name=call.name, arguments={**filled, **call.arguments})


def _value(schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type", "null")
    if isinstance(kind, list):
        kind = "null" if "null" in kind else kind[0]
    blanks: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}
    return schema["enum"][0] if schema.get("enum") else blanks.get(kind)


def _is_notice(message: Mapping[str, Any]) -> bool:
    wrapped = _unwrapped(message)
    return message["role"] == "user" and isinstance(wrapped, dict) and wrapped.get("type") in NOTICES


def _text(message: Mapping[str, Any]) -> str:
    wrapped = _unwrapped(message)
    if isinstance(wrapped, dict) and isinstance(wrapped.get("message"), str):
        return str(wrapped["message"])
    return _raw(message)


def _unwrapped(message: Mapping[str, Any]) -> Any:
    try:
        return json.loads(_raw(message))
    except json.JSONDecodeError:
        return None


def _raw(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")
