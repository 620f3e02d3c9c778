"""Deploys what the engine tests look at: one whole platform for all of them, and what single tests need."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest
import tenacity
from letta_client import Letta

from testbed.canary.search import plant_canaries
from testbed.checkout import clone
from testbed.clickhouse.server import ClickHouse
from testbed.deployment import Deployment
from testbed.llm.server import LanguageModel
from testbed.ports import reserved

EVERYWHERE = "0.0.0.0"  # noqa: S104 - containers must reach it
PORTS = ("apiPort", "otlpGrpcPort", "otlpHttpPort", "collectorHealthPort", "collectorMetricsPort")


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=120)
    client.ping()
    yield client
    client.close()


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a clean clone, in which stacks of tests live."""
    return clone(tmp_path_factory.mktemp("clone"))


NewDeployment = Callable[..., Deployment]


@pytest.fixture(scope="session")
def new_deployment(
    checkout: Path, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NewDeployment]:
    """Give a function that prepares a stack of its own name and ports; what it leaves is removed at the end."""
    made: list[Deployment] = []
    held = ExitStack()

    def make(**settings: object) -> Deployment:
        names = (*PORTS, "postgresPort", "redisPort")
        ports = dict(zip(names, held.enter_context(reserved(len(names))), strict=True))
        stack = f"test-{secrets.token_hex(3)}"
        # One state folder for all of them, as on a person's machine.
        deployment = Deployment(root=checkout, stack=stack, state=state, engine=engine)
        deployment.set(**{**ports, **settings})
        made.append(deployment)
        return deployment

    state = tmp_path_factory.mktemp("state")
    yield make
    for deployment in made:
        if deployment.leftovers():
            deployment.make("down", "YES=1", check=False)
        _remove(deployment)
    held.close()


def _remove(deployment: Deployment) -> None:
    """Remove what even a failed `make down` leaves, so that nothing stays on the machine."""
    label: Any = {"label": f"letta-platform.stack={deployment.stack}"}
    for container in deployment.engine.containers.list(all=True, filters=label):
        container.remove(force=True, v=True)
    for network in deployment.engine.networks.list(filters=label):
        network.remove()
    for volume in deployment.engine.volumes.list(filters=label):
        volume.remove(force=True)


@pytest.fixture(scope="session")
def llm() -> Iterator[LanguageModel]:
    with LanguageModel() as server:
        yield server


@pytest.fixture(scope="session")
def host_address(engine: docker.DockerClient) -> str:
    """Give the address by which containers reach stand-ins: the host, as the default bridge knows it."""
    # Older engines do not say the gateway of that network; it is always the first address.
    subnet = engine.networks.get("bridge").attrs["IPAM"]["Config"][0]["Subnet"]
    return str(next(ipaddress.ip_network(subnet).hosts()))


@pytest.fixture(scope="session")
def llm_url(llm: LanguageModel, host_address: str) -> str:
    return llm.url(host_address)


@pytest.fixture(scope="session")
def clickhouse(canaries: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """Give the ClickHouse that the platform delivers to."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with ClickHouse(folder, password=canaries["clickhousePassword"], host=EVERYWHERE) as server:
        yield server


@pytest.fixture(scope="session")
def canaries() -> dict[str, str]:
    """Give a marker per secret setting; none may ever be seen outside of the places that keep secrets."""
    return plant_canaries("openaiApiKey", "serverPassword", "encryptionKey", "clickhousePassword")


@pytest.fixture(scope="session")
def platform(
    new_deployment: NewDeployment,
    llm_url: str,
    clickhouse: ClickHouse,
    host_address: str,
    canaries: dict[str, str],
) -> Iterator[Deployment]:
    """Give a whole platform, brought up from a clean clone with `make up`."""
    deployment = new_deployment(openaiBaseUrl=llm_url, clickhouseEndpoint=clickhouse.url(host_address))
    deployment.pulumi("stack", "init")
    for key, value in canaries.items():
        deployment.set_secret(key, value)
    up = deployment.make("up")
    (deployment.state / "up.log").write_text(up.output)
    yield deployment
    deployment.make("down", "YES=1")
    left = deployment.leftovers()
    assert not left, f"make down left {left}"


@pytest.fixture(scope="session")
def images(platform: Deployment) -> dict[str, str]:
    """Give the references of the images that the platform runs."""
    found: dict[str, str] = platform.outputs()["images"]
    return found


@pytest.fixture
def client(platform: Deployment, canaries: dict[str, str]) -> Letta:
    return Letta(base_url=platform.outputs()["apiUrl"], api_key=canaries["serverPassword"])


def eventually(seconds: float = 60) -> tenacity.Retrying:
    """Try again until it works or the deadline has passed; the last failure is the one that is shown."""
    return tenacity.Retrying(stop=tenacity.stop_after_delay(seconds), wait=tenacity.wait_fixed(0.5), reraise=True)


def new_agent(client: Letta, **arguments: Any) -> str:
    """Create an agent that speaks with the stand-in, and give its id."""
    agent = client.agents.create(
        name=f"agent-{secrets.token_hex(4)}",
        model="openai-proxy/stand-in",
        embedding="openai/text-embedding-3-small",
        memory_blocks=[{"label": "human", "value": "The human is a tester."}],
        **arguments,
    )
    return str(agent.id)


def reply_of(answer: Any) -> str:
    """Give what the agent said at last."""
    said = [one for one in answer.messages if one.message_type == "assistant_message"]
    return str(said[-1].content)
