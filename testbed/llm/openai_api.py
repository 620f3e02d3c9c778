"""The part of OpenAI's wire format that the LLM stand-in uses: chat completions, their chunks, embeddings."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
import time
from collections.abc import Iterator, Mapping
from typing import Any

from testbed.llm.script import Reply

DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}


def completion(body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    """Return the answer to a request that does not stream."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.calls:
        message["tool_calls"] = _tool_calls(body, reply)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
    return {**_envelope(body, "chat.completion"), "choices": [choice], "usage": _usage(body, reply)}


def chunks(body: Mapping[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the answer to a streaming request, a chunk for each token."""
    envelope = _envelope(body, "chat.completion.chunk")
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    if with_usage:
        envelope["usage"] = None

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**envelope, "choices": [choice]}

    yield chunk({"role": "assistant", "content": "" if reply.text is not None else None, "refusal": None})
    for token in _tokens(reply.text or ""):
        yield chunk({"content": token})
    for index, call in enumerate(_tool_calls(body, reply)):
        name = {"name": call["function"]["name"], "arguments": ""}
        yield chunk({"tool_calls": [{**call, "index": index, "function": name}]})
        for token in _tokens(call["function"]["arguments"]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": token}}]})
    yield chunk({}, _finish(reply))
    if with_usage:
        yield {**envelope, "choices": [], "usage": _usage(body, reply)}


def embeddings(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to an embeddings request."""
    given = body["input"]
    texts = given if isinstance(given, list) and not all(isinstance(token, int) for token in given) else [given]
    size = body.get("dimensions") or DIMENSIONS.get(body["model"], 1536)
    data = []
    for index, text in enumerate(texts):
        vector: Any = embed(text if isinstance(text, str) else str(text), size)
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    used = sum(len(_tokens(str(text))) for text in texts)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def embed(text: str, size: int) -> list[float]:
    """Return a unit vector: texts that share words are close to each other, others nearly orthogonal."""
    vector = [0.0] * size
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = hashlib.sha256(word.encode()).digest()
        vector[int.from_bytes(digest[:4], "big") % size] += 1.0 if digest[4] % 2 else -1.0
    length = math.hypot(*vector)
    return [part / length for part in vector] if length else [1.0, *vector[1:]]


def _envelope(body: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{_digest(body)}",
        "object": kind,
        "created": int(time.time()),
        "model": body["model"],
        "service_tier": "default",
        "system_fingerprint": "fp_tests",
    }


def _tool_calls(body: Mapping[str, Any], reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{_digest(body, index)}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
        }
        for index, call in enumerate(reply.calls)
    ]


def _digest(body: Mapping[str, Any], index: int = 0) -> str:
    """Return an id that depends on the request: the same for a retry, another one for every other request."""
    asked = json.dumps([body, index], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()[:24]


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.calls else "stop"


def _usage(body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    prompt = len(_tokens(json.dumps(body.get("messages"))))
    answer = len(_tokens(reply.text or "")) + sum(len(_tokens(json.dumps(c.arguments))) for c in reply.calls)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _tokens(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)
