"""Letta agents that use the stand-in for an LLM (`testbed.llm`)."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
from letta_client import Letta


def new_agent(client: Letta, **arguments: Any) -> str:
    """Create an agent, and return its id. `arguments` are further ones of `client.agents.create`."""
    agent = client.agents.create(
        name=f"agent-{secrets.token_hex(4)}",
        model="openai-proxy/stand-in",
        embedding="openai/text-embedding-3-small",
        memory_blocks=[{"label": "human", "value": "The human is a tester."}],
        **arguments,
    )
    return str(agent.id)


def send(client: Letta, agent: str, text: str) -> Any:
    """Send a message to an agent, and return its answer."""
    return client.agents.messages.create(agent, messages=[{"role": "user", "content": text}])


def reply_of(answer: Any) -> str:
    """Return the last thing that the agent said in its answer."""
    said = [one for one in answer.messages if one.message_type == "assistant_message"]
    return str(said[-1].content)


def run_of(answer: Any) -> str:
    """Return the id of the run that produced an answer."""
    return next(str(one.run_id) for one in answer.messages if one.run_id)


def read_trace(api_url: str, password: str, run: str) -> str:
    """Return a run's trace as JSON text, which the server reads from ClickHouse. Raises HTTPStatusError."""
    url = f"{api_url}/v1/runs/{run}/trace"
    return httpx.get(url, headers={"Authorization": f"Bearer {password}"}).raise_for_status().text
