"""Real use of a platform that `make up` deployed, with the public SDK."""

from __future__ import annotations

import json

import httpx
import pytest
from letta_client import AuthenticationError, Letta

from catalogue import COLLECTOR
from testbed.agents import new_agent, reply_of, send
from testbed.deployment import Deployment
from testbed.llm.server import LanguageModel
from testbed.otlp import spans as exported
from testbed.polling import eventually

pytestmark = pytest.mark.engine

DOUBLE = '''
def double(number: int) -> int:
    """Double a number.

    Args:
        number (int): what to double
    """
    return number * 2
'''


def test_an_agent_answers(client: Letta) -> None:
    agent = new_agent(client)
    answer = send(client, agent, "good morning")
    assert reply_of(answer) == "You said: good morning"


def test_an_agent_streams_its_answer(client: Letta, llm: LanguageModel) -> None:
    agent = new_agent(client)
    stream = client.agents.messages.create(
        agent, messages=[{"role": "user", "content": "count to: 20"}], streaming=True, stream_tokens=True
    )
    # The model holds back all but its first words: what arrives now was not buffered until the end.
    with llm.held():
        chunks = iter(stream)
        first = next(chunk for chunk in chunks if chunk.message_type == "assistant_message")
    assert not llm.hold_expired, "the first words arrived only with the last"
    rest = [chunk for chunk in chunks if chunk.message_type == "assistant_message"]
    text = "".join(str(chunk.content) for chunk in [first, *rest])
    assert text.split() == [str(number) for number in range(1, 21)]


def test_an_agent_calls_a_tool_in_its_sandbox(client: Letta) -> None:
    tool = client.tools.upsert(source_code=DOUBLE)
    agent = new_agent(client, tools=["double"])
    answer = send(client, agent, 'call tool: double {"number": 21}')
    assert "42" in reply_of(answer)
    client.tools.delete(tool.id)


def test_a_background_stream_can_be_read_again(client: Letta) -> None:
    # Background streams are kept in Redis: without it the server refuses them.
    agent = new_agent(client)
    stream = client.agents.messages.create(
        agent, messages=[{"role": "user", "content": "count to: 5"}], streaming=True, background=True
    )
    chunks = list(stream)
    run = str(next(found for chunk in chunks if (found := getattr(chunk, "run_id", None))))
    again = list(client.runs.messages.stream(run, starting_after=0))
    assert "5" in str([chunk for chunk in again if chunk.message_type == "assistant_message"])


@pytest.mark.parametrize("password", ["", "wrong"])
def test_requests_without_the_password_are_refused(platform: Deployment, password: str) -> None:
    client = Letta(base_url=platform.outputs()["apiUrl"], api_key=password or "none", max_retries=0)
    with pytest.raises(AuthenticationError):
        client.agents.list()


def test_tools_cannot_be_run_without_the_password(platform: Deployment) -> None:
    # CVE-2025-51482: upstream runs any code without authentication.
    answer = httpx.post(f"{platform.outputs()['apiUrl']}/v1/tools/run", json={"source_code": "x", "args": {}})
    assert answer.status_code == 401


def test_health_and_docs_are_at_the_urls_of_the_outputs(platform: Deployment, canaries: dict[str, str]) -> None:
    outputs = platform.outputs()
    assert httpx.get(outputs["healthUrl"]).json()["status"] == "ok"
    key = {"Authorization": f"Bearer {canaries['serverPassword']}"}
    assert httpx.get(outputs["docsUrl"], headers=key).status_code == 200
    assert httpx.get(outputs["collectorHealthUrl"]).status_code == 200
    assert "otelcol_receiver_accepted_spans" in httpx.get(outputs["collectorMetricsUrl"]).text


def test_the_spans_of_a_request_are_found_in_the_file(platform: Deployment, client: Letta) -> None:
    agent = new_agent(client)
    send(client, agent, "leave a trace")
    for attempt in eventually(60):
        with attempt:
            spans = list(exported.parse(_exported(platform)))
            turns = [
                span
                for span in spans
                if span.name.startswith("POST /v1/agents/") and agent in json.dumps(span.attributes)
            ]
            assert turns, "the request left no span"
            children = [span for span in spans if span.trace_id == turns[0].trace_id]
            assert len(children) > 1, "the request's span has no child"


def test_health_checks_leave_no_spans(platform: Deployment) -> None:
    for _ in range(3):
        httpx.get(platform.outputs()["healthUrl"])
    names = {span.name for span in exported.parse(_exported(platform))}
    assert not {name for name in names if "/v1/health" in name}


def _exported(platform: Deployment) -> str:
    outputs = platform.outputs()
    return platform.read_volume(outputs["tracesVolume"], outputs["tracesFile"], user=str(COLLECTOR.user))
