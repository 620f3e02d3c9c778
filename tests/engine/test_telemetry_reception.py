"""Who may send: a stack whose collector speaks TLS and is published beyond this machine."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx
import pytest
from letta_client import Letta

from testbed.canary.search import find_leaks
from testbed.deployment import Deployment
from testbed.otlp import spans
from tests.engine.conftest import NewDeployment, eventually
from tests.engine.test_secrets import channels

pytestmark = pytest.mark.engine

SERVER, COLLECTOR = "10001", "10005"
NOTHING: dict[str, list[object]] = {"resourceSpans": []}


@pytest.fixture(scope="module")
def secured(new_deployment: NewDeployment) -> Iterator[Deployment]:
    """Give a stack that was brought up by `make up`, whose last step sends a span with token and TLS."""
    deployment = new_deployment(requireTls="true", bindAddress="0.0.0.0")  # noqa: S104
    deployment.make("up")
    yield deployment
    deployment.make("down", "YES=1")


@pytest.fixture(scope="module")
def authority(secured: Deployment) -> ssl.SSLContext:
    return ssl.create_default_context(
        cadata=secured.read_volume(secured.outputs()["otlpCertificatesVolume"], "ca.pem", user=SERVER)
    )


def test_clients_are_heard_only_with_the_token(secured: Deployment, authority: ssl.SSLContext) -> None:
    url = f"{secured.outputs()['otlpHttpEndpoint']}/v1/traces"
    token = secured.outputs(secrets=True)["otlpToken"]

    with httpx.Client(verify=authority) as client:
        assert client.post(url, json=NOTHING).status_code == 401
        assert client.post(url, json=NOTHING, headers={"Authorization": "Bearer no"}).status_code == 401
        assert client.post(url, json=NOTHING, headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_nobody_is_heard_without_tls(secured: Deployment) -> None:
    url = f"{secured.outputs()['otlpHttpEndpoint']}/v1/traces".replace("https://", "http://")

    assert httpx.post(url, json=NOTHING).status_code == 400


def test_the_certificates_key_is_not_the_servers_to_read(secured: Deployment) -> None:
    import docker.errors

    with pytest.raises(docker.errors.ContainerError, match="Permission denied"):
        secured.read_volume(secured.outputs()["otlpCertificatesVolume"], "server-key.pem", user=SERVER)


def test_the_servers_spans_arrive_by_tls(secured: Deployment) -> None:
    outputs = secured.outputs(secrets=True)
    Letta(base_url=outputs["apiUrl"], api_key=outputs["serverPassword"]).blocks.create(label="tls", value="sent")

    for attempt in eventually(60):
        with attempt:
            written = secured.read_volume(outputs["tracesVolume"], outputs["tracesFile"], user=COLLECTOR)
            assert "POST /v1/blocks/" in {span.name for span in spans.parse(written)}


def test_the_generated_token_is_seen_nowhere(secured: Deployment) -> None:
    token = secured.outputs(secrets=True)["otlpToken"]

    assert find_leaks({"otlpToken": token}, channels(secured)) == []


def test_a_second_preview_of_it_shows_no_changes(secured: Deployment) -> None:
    secured.pulumi("preview", "--expect-no-changes")
