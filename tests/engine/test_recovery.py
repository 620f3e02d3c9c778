"""Faults: processes that die, an engine that restarts. Everything comes back by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from letta_client import Letta

from testbed.deployment import Container, Deployment
from tests.engine.conftest import eventually, new_agent, reply_of
from toolchain.docker_daemon import start_daemon

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


def test_a_server_that_nobody_takes_telemetry_from_ends_without(platform: Deployment, client: Letta) -> None:
    new_agent(client)
    collector, server = platform.container("collector"), platform.container("letta")
    collector.stop(timeout=60)
    began = int(time.time())
    # Less than the SDK would try by itself.
    server.stop(timeout=20)
    server.reload()
    ended = server.attrs["State"]["ExitCode"]
    collector.start()
    server.start()
    for attempt in eventually(120):
        with attempt:
            assert client.agents.list() is not None
    # Not killed at the end of its grace.
    assert ended == 0
    assert "nobody takes the last telemetry; ending without" in server.logs(since=began).decode()


def _others_would_notice(platform: Deployment) -> list[str]:
    """Give the running containers that are not this test's, unless the machine is CI's own."""
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
                # Where nothing collects ended processes (a container without an init) it stays listed as a zombie.
                assert not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE
        start_daemon(platform.state / "dockerd.log", *arguments)
    for attempt in eventually(90):
        with attempt:
            platform.engine.ping()


def test_everything_comes_back_after_the_engine_restarts(platform: Deployment, client: Letta) -> None:
    others = _others_would_notice(platform)
    if others:
        pytest.skip(f"the engine also runs {', '.join(others)}; set CI=true to restart it nevertheless")
    agent = new_agent(client)
    client.agents.messages.create(agent, messages=[{"role": "user", "content": "remember: survives a restart"}])
    _restart_engine(platform)
    for attempt in eventually(180):
        with attempt:
            memory = client.agents.blocks.retrieve("human", agent_id=agent).value
            assert "survives a restart" in str(memory)
    # Background runs need Redis, which a server that started before it would do without for ever.
    stream = client.agents.messages.create(
        agent, messages=[{"role": "user", "content": "count to: 3"}], streaming=True, background=True
    )
    assert any(chunk.message_type == "assistant_message" for chunk in stream)
    platform.pulumi("preview", "--expect-no-changes")
