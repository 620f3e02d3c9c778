"""What differs between the state and the engine."""

from __future__ import annotations

import pytest

import catalogue
from operations.checks.drift import Condition, differences
from operations.checks.leftovers import Leftovers
from operations.engine.protocol import Container, Network
from operations.stack.state import CONTAINER, NETWORK, VOLUME
from testbed.fake_engine import container
from testbed.fake_target import resource, service_resource, state_of

pytestmark = pytest.mark.unit

SERVICES = [service.name for service in catalogue.SERVICES]


def _there(**changes: object) -> Container:
    return container("redis", **{"networks": ("data",), **changes})


CONDITIONS: dict[str, tuple[Container | None, Condition | None]] = {
    "well": (_there(), None),
    "no health check": (_there(health=None), None),
    "in more networks": (_there(networks=("data", "mine")), None),
    "docker rm -f": (None, Condition.MISSING),
    "docker stop": (_there(state="exited", health=None), Condition.STOPPED),
    "never started": (_there(state="created", health=None), Condition.STOPPED),
    "docker pause": (_there(state="paused"), Condition.PAUSED),
    "crashes": (_there(state="restarting", health=None), Condition.RESTARTING),
    "half removed": (_there(state="dead", health=None), Condition.DEAD),
    "being removed": (_there(state="removing", health=None), Condition.DEAD),
    "unhealthy": (_there(health="unhealthy"), Condition.UNHEALTHY),
    "starting": (_there(health="starting"), Condition.STARTING),
    "docker network disconnect": (_there(networks=()), Condition.DISCONNECTED),
    "disconnected and unhealthy": (_there(networks=(), health="unhealthy"), Condition.DISCONNECTED),
    "disconnected and stopped": (_there(networks=(), state="exited"), Condition.STOPPED),
    "made again by hand": (_there(id="another"), Condition.MISSING),
}


@pytest.mark.parametrize(("there", "condition"), CONDITIONS.values(), ids=list(CONDITIONS))
def test_every_condition_of_a_service_is_seen(there: Container | None, condition: Condition | None) -> None:
    state = state_of(service_resource("redis", networks=("data",)))
    found = differences(state, Leftovers(containers=(there,) if there else ()), ())
    assert [(one.condition, one.needed, one.service) for one in found] == (
        [(condition, True, "redis")] if condition else []
    )


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_missed(service: str) -> None:
    state = state_of(*map(service_resource, SERVICES))
    rest = tuple(container(name) for name in SERVICES if name != service)
    assert [str(one) for one in differences(state, Leftovers(containers=rest), ())] == [
        f"container {service}: missing"
    ]


def test_jobs_and_file_bundles_are_not_needed_once_they_have_ended() -> None:
    job = resource(CONTAINER, "job", id="id-job", inputs={"restart": "no"})
    assert differences(state_of(job), Leftovers(containers=(container("job", state="exited"),)), ()) == ()
    (gone,) = differences(state_of(job), Leftovers(), ())
    assert (gone.condition, gone.needed) == (Condition.MISSING, False)


def test_what_waits_for_its_deletion_is_not_missed() -> None:
    assert differences(state_of(service_resource("redis", delete=True)), Leftovers(), ()) == ()


def test_networks_and_volumes_are_missed() -> None:
    state = state_of(
        resource(NETWORK, "n1", id="1", outputs={"name": "letta-dev-data-1a2b"}),
        resource(NETWORK, "n2", id="2"),
        resource(VOLUME, "v1", outputs={"name": "letta-dev-postgres-data"}),
        resource(VOLUME, "v2", outputs={"name": "there"}),
    )
    found = Leftovers(networks=(Network(id="2", name="n2", stack="dev"),))
    assert [str(one) for one in differences(state, found, ["there", "other"])] == [
        "network letta-dev-data-1a2b: missing",
        "volume letta-dev-postgres-data: missing",
    ]
