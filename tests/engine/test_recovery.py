"""The platform recovers by itself from killed processes and restarts of the engine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from letta_client import Letta

from catalogue import SERVICES
from testbed.agents import new_agent, reply_of, send
from testbed.deployment import Container, Deployment
from testbed.polling import eventually
from toolchain.docker_daemon import start_daemon

pytestmark = pytest.mark.engine


def _main_process(container: Container) -> int:
    """Return the host's id of the service's process, which is a child of the container's init."""
    container.reload()
    init = psutil.Process(int(container.attrs["State"]["Pid"]))
    return int(init.children()[0].pid)


@pytest.mark.parametrize("service", [service.name for service in SERVICES])
def test_a_killed_process_is_restarted(platform: Deployment, client: Letta, service: str) -> None:
    agent = new_agent(client)
    container = platform.container(service)
    restarts = container.attrs["RestartCount"]
    # From the host: after `docker kill` the engine would not restart the container.
    os.kill(_main_process(container), signal.SIGKILL)
    for attempt in eventually(120):
        with attempt:
            container.reload()
            assert container.attrs["RestartCount"] > restarts
            assert container.attrs["State"]["Health"]["Status"] == "healthy"
    for attempt in eventually(120):
        with attempt:
            answer = send(client, agent, f"after {service}")
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


def test_a_server_stops_in_time_although_the_collector_is_down(platform: Deployment, client: Letta) -> None:
    new_agent(client)
    collector, server = platform.container("collector"), platform.container("letta")
    collector.stop(timeout=60)
    began = int(time.time())
    # Less than the SDK's own retries take.
    server.stop(timeout=20)
    server.reload()
    ended = server.attrs["State"]["ExitCode"]
    collector.start()
    server.start()
    for attempt in eventually(120):
        with attempt:
            assert client.agents.list() is not None
    # Not killed at the end of the grace period.
    assert ended == 0
    assert "nobody takes the last telemetry; ending without" in server.logs(since=began).decode()


def _other_containers(platform: Deployment) -> list[str]:
    """Return the running containers that are not of this test; none in CI, which has the engine to itself."""
    if os.environ.get("CI"):
        return []
    own = {one.id for one in platform.containers()}
    return [str(one.name) for one in platform.engine.containers.list() if one.id not in own]


def _restart_engine(platform: Deployment) -> None:
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "restart", "docker"], check=True)
    else:
        daemon = psutil.Process(int(Path("/var/run/docker.pid").read_text()))
        arguments = daemon.cmdline()[1:]
        daemon.terminate()
        for attempt in eventually(120):
            with attempt:
                # Without an init that reaps it (in a container), it remains as a zombie.
                assert not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE
        start_daemon(platform.state / "dockerd.log", *arguments)
    for attempt in eventually(90):
        with attempt:
            platform.engine.ping()


def test_everything_works_again_after_the_engine_restarts(platform: Deployment, client: Letta) -> None:
    others = _other_containers(platform)
    if others:
        pytest.skip(f"the engine also runs {', '.join(others)}; set CI=true to restart it anyway")
    agent = new_agent(client)
    send(client, agent, "remember: survives a restart")
    _restart_engine(platform)
    for attempt in eventually(180):
        with attempt:
            memory = client.agents.blocks.retrieve("human", agent_id=agent).value
            assert "survives a restart" in str(memory)
    # Background runs need Redis; a server that started before Redis would never use it.
    stream = client.agents.messages.create(
        agent, messages=[{"role": "user", "content": "count to: 3"}], streaming=True, background=True
    )
    assert any(chunk.message_type == "assistant_message" for chunk in stream)
    platform.pulumi("preview", "--expect-no-changes")
