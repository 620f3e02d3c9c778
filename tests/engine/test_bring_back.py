"""Whatever is done to a service by hand, `make up` ends with a working API; status and doctor see it before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import yaml
from letta_client import Letta

from catalogue import SERVICE_LABEL, SERVICES
from testbed.agents import new_agent
from testbed.checkout import clone
from testbed.deployment import Container, Deployment

pytestmark = pytest.mark.engine

NAMES = [service.name for service in SERVICES]


def _stop(container: Container) -> None:
    container.stop(timeout=20)


def _remove(container: Container) -> None:
    container.remove(force=True)


def _pause(container: Container) -> None:
    container.pause()


def _disconnect(container: Container) -> None:
    container.reload()
    network = sorted(container.attrs["NetworkSettings"]["Networks"])[0]
    assert container.client is not None
    container.client.networks.get(network).disconnect(container, force=True)


Harm = Callable[[Container], None]
# What is done, and to which services. A case takes what one `make up` takes: seconds, with a new server twenty.
CASES: list[tuple[str, Harm, tuple[str, ...]]] = [
    *(("stop", _stop, (name,)) for name in NAMES),
    *(("pause", _pause, (name,)) for name in NAMES),
    *(("remove", _remove, (name,)) for name in NAMES),
    *(("disconnect", _disconnect, (name,)) for name in NAMES),
    ("stop", _stop, tuple(NAMES)),
]


@pytest.fixture(scope="module")
def api(platform: Deployment, canaries: dict[str, str]) -> Letta:
    """The API, whose address is asked of Pulumi once: that takes longer than some of the cases."""
    return Letta(base_url=platform.outputs()["apiUrl"], api_key=canaries["serverPassword"])


@pytest.fixture(scope="module")
def agent(api: Letta) -> Iterator[str]:
    made = new_agent(api)
    yield made
    api.agents.delete(made)


def _answers(platform: Deployment, api: Letta, agent: str) -> None:
    assert api.agents.retrieve(agent).id == agent
    running = {one.labels[SERVICE_LABEL]: one for one in platform.containers()}
    for name in NAMES:
        running[name].reload()
        assert running[name].attrs["State"]["Health"]["Status"] == "healthy", name


@pytest.mark.parametrize(
    ("harm", "services"),
    [(harm, services) for _, harm, services in CASES],
    ids=[f"{word} {services[0] if len(services) == 1 else 'all'}" for word, _, services in CASES],
)
def test_make_up_ends_with_a_working_api(
    platform: Deployment, api: Letta, agent: str, harm: Harm, services: tuple[str, ...]
) -> None:
    for name in services:
        harm(platform.container(name))
    done = platform.make("up")
    assert "is up after" in done.output
    _answers(platform, api, agent)


def test_status_and_doctor_miss_what_was_removed(platform: Deployment) -> None:
    _remove(platform.container("redis"))
    try:
        status = platform.make("status", check=False)
        assert status.code != 0
        assert "missing" in status.output
        # It also probes registries and the disk: here only what it says of services counts.
        doctor = (".venv/bin/python", "-m", "operations", "doctor", "--json", "--stack", platform.stack)
        found = platform.run(*doctor, check=False).output
        checks = {one["name"]: one for one in json.loads(found[found.index("{") :])["checks"]}
        assert checks["services"]["state"] == "broken"
        assert f"letta-{platform.stack}-redis" in checks["services"]["detail"]
    finally:
        platform.make("up")
    assert platform.make("status").code == 0


def test_a_removed_job_comes_back_without_touching_a_service(platform: Deployment) -> None:
    before = {name: platform.ids()[name] for name in NAMES}
    (job,) = platform.containers("migration", everything=True)
    job.remove(force=True)
    platform.make("up")
    # The job itself may still run: it waits until its success has been seen.
    assert {name: platform.ids()[name] for name in NAMES} == before
    assert platform.containers("migration", everything=True)
    platform.pulumi("preview", "--expect-no-changes")


def test_the_first_update_of_another_state_is_refused_and_removes_nothing(
    platform: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As of a second user, with sudo, or with another XDG_STATE_HOME."""
    other = Deployment(
        root=clone(tmp_path_factory.mktemp("second-clone"), origin=platform.root),
        stack=platform.stack,
        state=tmp_path_factory.mktemp("second-user"),
        engine=platform.engine,
    )
    (other.root / ".venv").symlink_to(platform.root / ".venv")
    # With the same ports and none of the secrets, which only the first state can decrypt.
    file = other.root / f"Pulumi.{other.stack}.yaml"
    written = yaml.safe_load(file.read_text())["config"]
    file.unlink()
    other.set(**{key.partition(":")[2]: value for key, value in written.items() if key.endswith("Port")})
    platform.container("redis").pause()
    before = platform.leftovers()
    try:
        up = (".venv/bin/python", "-m", "operations", "up", "--stack", platform.stack)
        refused = other.run(*up, check=False)
        assert refused.code != 0
        assert "another state manages a stack of this name" in refused.output
        assert platform.leftovers() == before
    finally:
        platform.make("up")
