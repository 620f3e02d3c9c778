"""The platform that most engine tests share, and what single tests need."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest
from letta_client import Letta

from catalogue import STACK_LABEL, Composition, published_ports
from testbed import containers
from testbed.canary.search import plant_canaries
from testbed.checkout import clone
from testbed.clickhouse.server import ClickHouse
from testbed.deployment import Deployment, NewDeployment
from testbed.llm.server import LanguageModel
from testbed.ports import reserved
from testbed.stoppable_server import EVERY_ADDRESS

PORTS = tuple(dict.fromkeys(port for composition in Composition for port in published_ports(composition)))


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=120)
    client.ping()
    yield client
    client.close()


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean clone for the stacks of the tests."""
    return clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def new_deployment(
    checkout: Path, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NewDeployment]:
    """A function that prepares a stack with its own name and ports; what it leaves is removed at the end."""
    made: list[Deployment] = []
    held = ExitStack()

    def make(**settings: object) -> Deployment:
        ports = dict(zip(PORTS, held.enter_context(reserved(len(PORTS))), strict=True))
        stack = f"test-{secrets.token_hex(3)}"
        # One state folder for all of them, as on a user's machine.
        deployment = Deployment(root=checkout, stack=stack, state=state, engine=engine)
        deployment.set(**{**ports, **settings})
        made.append(deployment)
        return deployment

    state = tmp_path_factory.mktemp("state")
    yield make
    for deployment in made:
        if deployment.leftovers():
            deployment.make("down", "YES=1", check=False)
        # Even a failed `make down` must leave nothing on the machine.
        containers.remove_labelled(engine, f"{STACK_LABEL}={deployment.stack}")
    held.close()


@pytest.fixture(scope="session")
def llm() -> Iterator[LanguageModel]:
    with LanguageModel() as server:
        yield server


@pytest.fixture(scope="session")
def host_address(engine: docker.DockerClient) -> str:
    """The address by which containers reach the stand-ins on this machine."""
    return containers.host_address(engine)


@pytest.fixture(scope="session")
def llm_url(llm: LanguageModel, host_address: str) -> str:
    return llm.url(host_address)


@pytest.fixture(scope="session")
def clickhouse(canaries: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """The ClickHouse that the platform delivers to."""
    folder = tmp_path_factory.mktemp("clickhouse")
    with ClickHouse(folder, password=canaries["clickhousePassword"], host=EVERY_ADDRESS) as server:
        yield server


@pytest.fixture(scope="session")
def canaries() -> dict[str, str]:
    """A canary per secret setting; none may be found outside of the channels that keep secrets."""
    return plant_canaries("openaiApiKey", "serverPassword", "encryptionKey", "clickhousePassword")


@pytest.fixture(scope="session")
def platform(
    new_deployment: NewDeployment,
    llm_url: str,
    clickhouse: ClickHouse,
    host_address: str,
    canaries: dict[str, str],
) -> Iterator[Deployment]:
    """A full platform, deployed from a clean clone with `make up`."""
    deployment = new_deployment(openaiBaseUrl=llm_url, clickhouseEndpoint=clickhouse.url(host_address))
    deployment.pulumi("stack", "init")
    for key, value in canaries.items():
        deployment.set_secret(key, value)
    up = deployment.make("up")
    # Among the files that are searched for canaries.
    (deployment.state / "up.log").write_text(up.output)
    yield deployment
    deployment.make("down", "YES=1")
    left = deployment.leftovers()
    assert not left, f"make down left {left}"


@pytest.fixture(scope="session")
def images(platform: Deployment) -> dict[str, str]:
    """The references of the platform's images, by name."""
    found: dict[str, str] = platform.outputs()["images"]
    return found


@pytest.fixture
def client(platform: Deployment, canaries: dict[str, str]) -> Letta:
    return Letta(base_url=platform.outputs()["apiUrl"], api_key=canaries["serverPassword"])
