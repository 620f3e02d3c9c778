"""Faults: processes that die, an engine that restarts. Everything comes back by itself."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from letta_client import Letta

from tests.engine.conftest import eventually, new_agent, reply_of
from tests.engine.deployment import Container, Deployment

pytestmark = pytest.mark.engine


def _main_process(container: Container) -> int:
    """Give the host's id of the service's process: with an init, that is init's child."""
    container.reload()
    init = psutil.Process(int(container.attrs["State"]["Pid"]))
    return int(init.children()[0].pid)


@pytest.mark.parametrize("service", ["postgres", "redis", "collector", "letta", "nginx"])
def test_a_killed_process_heals(platform: Deployment, client: Letta, service: str) -> None:
    agent = new_agent(client)
    container = platform.container(service)
    restarts = container.attrs["RestartCount"]
    # From the host: `docker kill` would count as the user's wish and turn restarting off.
    os.kill(_main_process(container), signal.SIGKILL)
    for attempt in eventually(120):
        with attempt:
            container.reload()
            assert container.attrs["RestartCount"] > restarts
            assert container.attrs["State"]["Health"]["Status"] == "healthy"
    for attempt in eventually(120):
        with attempt:
            answer = client.agents.messages.create(
                agent, messages=[{"role": "user", "content": f"after {service}"}]
            )
            assert reply_of(answer) == f"You said: after {service}"


def test_postgres_stops_cleanly(platform: Deployment, client: Letta) -> None:
    new_agent(client)
    container = platform.container("postgres")
    container.stop(timeout=60)
    container.start()
    for attempt in eventually(60):
        with attempt:
            container.reload()
            assert container.attrs["State"]["Health"]["Status"] == "healthy"
    log = container.logs(tail=30).decode()
    assert "database system was shut down" in log
    assert "automatic recovery" not in log.rpartition("database system was shut down")[2]
    for attempt in eventually(60):
        with attempt:
            assert client.agents.list() is not None
