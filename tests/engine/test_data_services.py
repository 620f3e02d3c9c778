"""Postgres and Redis alone, for users who run the server from source; and which stack owns a data volume."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from catalogue import STACK_LABEL, Composition, services
from testbed.deployment import Deployment, NewDeployment

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def data(new_deployment: NewDeployment) -> Iterator[Deployment]:
    deployment = new_deployment(services="data")
    deployment.make("up")
    yield deployment
    deployment.make("down", "YES=1")


def test_only_the_data_services_run_and_answer_on_the_host(data: Deployment) -> None:
    assert set(data.ids()) <= {*(service.name for service in services(Composition.DATA)), "roles"}
    outputs = data.outputs(secrets=True)
    redis = urlsplit(outputs["redisUrl"])
    with socket.create_connection((redis.hostname, redis.port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(16) == b"+PONG\r\n"


def test_the_database_accepts_only_the_password_in_the_outputs(data: Deployment) -> None:
    url = data.outputs(secrets=True)["postgresUrl"]
    with psycopg.connect(url) as connection:
        assert connection.pgconn.ssl_in_use
        row = connection.execute("select '[1,2,3]'::vector <-> '[1,2,4]'::vector").fetchone()
        assert row == (1.0,)
        assert connection.execute("show data_checksums").fetchone() == ("on",)
        connection.execute("create table mine (id int)")
        owner = connection.execute("select tableowner from pg_tables where tablename = 'mine'").fetchone()
        assert owner == ("letta_owner",), "the schema's owner owns what a login role creates"
        connection.rollback()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url.replace(str(urlsplit(url).password), "wrong"))


def test_protected_data_cannot_be_removed_by_accident(data: Deployment) -> None:
    data.set(protectData=True)
    data.pulumi("up", "--yes", "--skip-preview")
    refused = data.make("down", "YES=1", check=False)
    assert refused.code != 0
    assert "protect" in refused.output
    assert data.container("postgres").status == "running"
    data.set(protectData=None)
    data.pulumi("up", "--yes", "--skip-preview")


def test_a_volume_that_the_stack_did_not_create_is_refused_and_left_alone(new_deployment: NewDeployment) -> None:
    deployment = new_deployment(services="data")
    name = f"letta-{deployment.stack}-postgres-data"
    deployment.engine.volumes.create(name, labels={STACK_LABEL: deployment.stack})
    refused = deployment.make("up", check=False)
    assert refused.code != 0
    assert f"docker volume rm {name}" in refused.output
    assert not deployment.containers("postgres")
    assert deployment.engine.volumes.get(name)


def test_make_down_leaves_nothing(new_deployment: NewDeployment) -> None:
    deployment = new_deployment(services="data")
    deployment.make("up")
    assert deployment.leftovers()
    deployment.make("down", "YES=1")
    assert deployment.leftovers() == {}
