"""What servers and migrations check in a database before they use it: its revision, and its encryption key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import docker
import pytest

from catalogue import LETTA
from testbed.deployment import Container, Deployment
from testbed.polling import eventually

pytestmark = pytest.mark.engine

NAME = "waiting"
WRONG_KEY = "Canary" + "0" * 34

Start = Callable[..., Container]


def _secret(platform: Deployment, name: str) -> str:
    value = platform.container("letta").exec_run(["cat", f"/run/secrets/{name}"]).output
    assert isinstance(value, bytes)
    return value.decode()


def _sql(platform: Deployment, statement: str, *, database: str = "postgres") -> None:
    code, printed = platform.container("postgres").exec_run(["psql", "-qAt", "-c", statement, database])
    assert isinstance(printed, bytes)
    assert code == 0, printed.decode()


@pytest.fixture
def database(platform: Deployment) -> Iterator[str]:
    """The address of an empty database next to the platform's, set up as the roles job does."""
    _sql(platform, f"CREATE DATABASE {NAME} OWNER letta_owner")
    try:
        _sql(platform, f"ALTER DATABASE {NAME} SET search_path TO letta")
        for schema in ("letta", "letta_platform"):
            _sql(platform, f"CREATE SCHEMA {schema} AUTHORIZATION letta_owner", database=NAME)
        _sql(platform, "CREATE EXTENSION vector WITH SCHEMA letta", database=NAME)
        address, slash, _ = _secret(platform, "LETTA_PG_URI").rpartition("/")
        yield f"{address}{slash}{NAME}"
    finally:
        _sql(platform, f"DROP DATABASE {NAME} WITH (FORCE)")


@pytest.fixture
def start(platform: Deployment, engine: docker.DockerClient, images: dict[str, str]) -> Iterator[Start]:
    """A function that starts a container of the server's image that can reach Postgres."""
    with ExitStack() as started:

        @contextmanager
        def running(command: str, address: str, key: str) -> Iterator[Container]:
            container = engine.containers.run(
                images["letta"],
                [command],
                detach=True,
                read_only=True,
                tmpfs={"/tmp": "mode=1777", "/var/lib/letta": f"uid={LETTA.user},gid={LETTA.user}"},
                # In Postgres' network namespace its name resolves, and nothing new joins the networks.
                network_mode=f"container:{platform.container('postgres').id}",
                environment={"LETTA_PG_URI": address, "LETTA_ENCRYPTION_KEY": key},
            )
            try:
                yield container
            finally:
                container.remove(force=True, v=True)

        yield lambda command, address, key: started.enter_context(running(command, address, key))


def _log(container: Container) -> str:
    return str(container.logs().decode())


def _exit_code(container: Container) -> int:
    return int(container.wait(timeout=120)["StatusCode"])


def _wait_until_healthy(container: Container) -> None:
    for attempt in eventually(120):
        with attempt:
            assert container.exec_run(["letta-healthy"]).exit_code == 0, _log(container)[-2000:]


def test_a_server_that_starts_before_the_migration_waits_for_it_and_serves(
    platform: Deployment, database: str, start: Start
) -> None:
    key = _secret(platform, "LETTA_ENCRYPTION_KEY")
    server = start("server", database, key)
    for attempt in eventually(120):
        with attempt:
            assert "waiting for the migration: the database is at nothing yet" in _log(server)
    assert server.exec_run(["letta-healthy"]).exit_code != 0

    assert _exit_code(start("migrate", database, key)) == 0

    _wait_until_healthy(server)
    newer = "UPDATE alembic_version SET version_num = 'made_by_a_newer_one'"
    _sql(platform, newer, database=NAME)
    server.restart(timeout=60)
    # As after a failed rollout: the old server must keep working.
    _wait_until_healthy(server)


def test_another_encryption_key_is_refused_and_nothing_is_changed(
    platform: Deployment, database: str, start: Start
) -> None:
    key = _secret(platform, "LETTA_ENCRYPTION_KEY")
    assert _exit_code(start("migrate", database, key)) == 0
    for command in ("migrate", "server"):
        refused = start(command, database, WRONG_KEY)
        assert _exit_code(refused) == 1
        assert "encryptionKey" in _log(refused)
        assert WRONG_KEY not in _log(refused)
        assert key not in _log(refused)
    assert _exit_code(start("migrate", database, key)) == 0
