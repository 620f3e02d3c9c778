"""A stack whose collector is published beyond this machine: clients need TLS and a token."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import docker.errors
import httpx
import pytest
from letta_client import Letta

import catalogue
from testbed.canary.channels import channels_of
from testbed.canary.search import find_leaks
from testbed.deployment import Deployment, NewDeployment
from testbed.otlp import spans
from testbed.polling import eventually
from testbed.stoppable_server import EVERY_ADDRESS

pytestmark = pytest.mark.engine

SERVER, COLLECTOR = str(catalogue.LETTA.user), str(catalogue.COLLECTOR.user)
NOTHING: dict[str, list[object]] = {"resourceSpans": []}


@pytest.fixture(scope="module")
def secured(new_deployment: NewDeployment) -> Iterator[Deployment]:
    """A stack deployed with `make up`, whose last step sends a probe span with token and TLS."""
    deployment = new_deployment(requireTls="true", bindAddress=EVERY_ADDRESS)
    deployment.make("up")
    yield deployment
    deployment.make("down", "YES=1")


@pytest.fixture(scope="module")
def authority(secured: Deployment) -> ssl.SSLContext:
    return ssl.create_default_context(
        cadata=secured.read_volume(secured.outputs()["otlpCertificatesVolume"], "ca.pem", user=SERVER)
    )


def test_clients_need_the_token(secured: Deployment, authority: ssl.SSLContext) -> None:
    url = f"{secured.outputs()['otlpHttpEndpoint']}/v1/traces"
    token = secured.outputs(secrets=True)["otlpToken"]

    with httpx.Client(verify=authority) as client:
        assert client.post(url, json=NOTHING).status_code == 401
        assert client.post(url, json=NOTHING, headers={"Authorization": "Bearer no"}).status_code == 401
        assert client.post(url, json=NOTHING, headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_clients_need_tls(secured: Deployment) -> None:
    url = f"{secured.outputs()['otlpHttpEndpoint']}/v1/traces".replace("https://", "http://")

    assert httpx.post(url, json=NOTHING).status_code == 400


def test_the_server_cannot_read_the_certificates_key(secured: Deployment) -> None:
    with pytest.raises(docker.errors.ContainerError, match="Permission denied"):
        secured.read_volume(secured.outputs()["otlpCertificatesVolume"], "server-key.pem", user=SERVER)


def test_the_servers_spans_arrive_over_tls(secured: Deployment) -> None:
    outputs = secured.outputs(secrets=True)
    Letta(base_url=outputs["apiUrl"], api_key=outputs["serverPassword"]).blocks.create(label="tls", value="sent")

    for attempt in eventually(60):
        with attempt:
            written = secured.read_volume(outputs["tracesVolume"], outputs["tracesFile"], user=COLLECTOR)
            assert "POST /v1/blocks/" in {span.name for span in spans.parse(written)}


def test_the_generated_token_is_found_nowhere(secured: Deployment) -> None:
    token = secured.outputs(secrets=True)["otlpToken"]

    assert find_leaks({"otlpToken": token}, channels_of(secured)) == []


def test_a_second_preview_of_a_secured_stack_shows_no_changes(secured: Deployment) -> None:
    secured.pulumi("preview", "--expect-no-changes")
