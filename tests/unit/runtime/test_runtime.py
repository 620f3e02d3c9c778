"""How services become containers: hardening, rollout, and the forms the engine reads back."""

from __future__ import annotations

import pulumi
import pytest

from runtime import (
    Attachment,
    FileBundle,
    HealthCheck,
    Mount,
    PublishedPort,
    Rollout,
    ServiceSpec,
    Tmpfs,
)
from runtime.bundle import content_label
from runtime.engine import EngineRuntime, cpu_share, duration
from runtime.hooks import refusal, verdict
from tests.unit.conftest import Deploy, Registered

pytestmark = pytest.mark.unit

CONTAINER = "docker:index/container:Container"


def _run(deploy: Deploy, spec: ServiceSpec) -> list[Registered]:
    def program() -> None:
        parent = pulumi.ComponentResource("test:test:Parent", "parent")
        EngineRuntime(stack="dev", stack_id="id", bundle_key="key", bundle_image="base").run(
            "thing", spec, parent=parent
        )

    return deploy(program)


def _container(seen: list[Registered], name: str = "thing") -> Registered:
    (found,) = [one for one in seen if one.typ == CONTAINER and one.name == name]
    return found


SPEC = ServiceSpec(
    service="thing",
    image="image",
    user=10001,
    memory_mb=64,
    rollout=Rollout.ROLLING,
    health=HealthCheck(command=("healthy",)),
    networks=(Attachment(network="app", aliases=("thing",)),),
    tmpfs=(Tmpfs(path="/tmp", size_mb=4),),
    mounts=(Mount(source="volume", path="/data"),),
)


def test_every_service_gets_the_hardening_baseline(deploy: Deploy) -> None:
    container = _container(_run(deploy, SPEC))
    assert container.value("readOnly") is True
    assert container.value("user") == "10001:10001"
    assert container.value("capabilities") == {"drops": ["ALL"]}
    assert container.value("securityOpts") == ["no-new-privileges:true"]
    assert container.value("init") is True
    assert container.value("memory") == container.value("memorySwap") == 64
    assert container.value("logOpts") == {"max-size": "10m", "max-file": "3"}
    assert container.value("restart") == "unless-stopped"
    labels = {one["label"]: one["value"] for one in container.value("labels")}
    assert labels == {"letta-platform.service": "thing", "letta-platform.stack": "dev"}


def test_a_service_waits_until_it_is_healthy(deploy: Deploy) -> None:
    container = _container(_run(deploy, SPEC))
    assert container.value("wait") is True
    assert container.value("healthcheck")["tests"] == ["CMD", "healthy"]


def test_a_job_is_healthy_when_it_has_succeeded_and_is_not_restarted(deploy: Deploy) -> None:
    job = ServiceSpec(service="job", image="image", user=1, memory_mb=32, rollout=Rollout.JOB, deadline_seconds=60)
    container = _container(_run(deploy, job))
    assert container.value("restart") == "no"
    assert container.value("mustRun") is False
    assert container.value("wait") is True
    check = container.value("healthcheck")
    assert check["tests"][:3] == ["CMD", "run-job", "--succeeded"]
    # The check waits for the success, and must not be ended by the engine while it does.
    assert int(check["tests"][3]) < int(check["timeout"].removesuffix("s"))
    assert "/run/job" in container.value("tmpfs")


def test_a_secret_reaches_a_service_only_as_a_file_in_a_mounted_bundle(deploy: Deploy) -> None:
    secret: pulumi.Output[str] = pulumi.Output.secret("canary")
    bundle = FileBundle(name="secrets", path="/run/secrets", files={"KEY": secret})
    spec = ServiceSpec(
        service="thing", image="image", user=7, memory_mb=32, rollout=Rollout.ROLLING, bundles=(bundle,)
    )
    seen = _run(deploy, spec)
    holder = _container(seen, "thing-secrets")
    assert holder.is_secret("uploads")
    assert holder.value("uploads") == [
        {"file": "/run/secrets/KEY", "content": "canary", "permissions": "0400", "owner": "7", "group": "7"}
    ]
    assert holder.value("start") is False
    workload = _container(seen)
    assert "canary" not in str(workload.inputs)
    assert workload.value("volumes") == [
        {"volumeName": "thing-secrets", "containerPath": "/run/secrets", "readOnly": True}
    ]


def test_a_changed_secret_is_another_bundle(deploy: Deploy) -> None:
    def label(content: str) -> str:
        bundle = FileBundle(name="secrets", path="/run/secrets", files={"KEY": content})
        spec = ServiceSpec(
            service="thing", image="image", user=7, memory_mb=32, rollout=Rollout.ROLLING, bundles=(bundle,)
        )
        (volume,) = [one for one in _run(deploy, spec) if one.typ == "docker:index/volume:Volume"]
        labels = {one["label"]: one["value"] for one in volume.value("labels")}
        return str(labels["letta-platform.content"])

    assert label("one") == label("one")
    assert label("one") != label("two")


def test_the_digest_of_a_bundle_cannot_be_guessed_without_its_key() -> None:
    assert content_label("key", {"a": "b"}) != content_label("other", {"a": "b"})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "500ms"),
        (1, "1s"),
        (1.8, "1.8s"),
        (59, "59s"),
        (60, "1m0s"),
        (61.5, "1m1.5s"),
        (90, "1m30s"),
        (3600, "1h0m0s"),
    ],
)
def test_durations_are_written_as_the_engine_reads_them_back(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_cpu_shares_are_written_as_the_engine_reads_them_back() -> None:
    assert [cpu_share(1), cpu_share(0.5), cpu_share(1.5)] == ["1.0", "0.5", "1.5"]
    with pytest.raises(ValueError, match=r"multiples of 0\.1"):
        cpu_share(0.25)


def test_ports_are_in_the_order_in_which_the_provider_compares_them(deploy: Deploy) -> None:
    spec = ServiceSpec(
        service="thing",
        image="image",
        user=7,
        memory_mb=32,
        rollout=Rollout.STOP_FIRST,
        ports=tuple(PublishedPort(internal=port, external=port, address="127.0.0.1") for port in (9, 4, 7)),
    )
    ports = _container(_run(deploy, spec)).value("ports")
    assert [port["internal"] for port in ports] == [4, 7, 9]


# -- hooks ----------------------------------------------------------------------------------------------


STACK, ID = "letta-platform.stack", "letta-platform.stack-id"


def test_a_volume_that_does_not_exist_may_be_created() -> None:
    assert refusal("data", wanted={ID: "1"}, found=None) is None


def test_a_volume_of_this_very_stack_may_be_taken_again() -> None:
    assert refusal("data", wanted={ID: "1"}, found={ID: "1", STACK: "dev"}) is None


@pytest.mark.parametrize("found", [{ID: "2", STACK: "dev"}, {}, {STACK: "dev"}])
def test_a_volume_of_somebody_else_is_refused_with_what_to_do(found: dict[str, str]) -> None:
    reason = refusal("letta-dev-postgres-data", wanted={ID: "1"}, found=found)
    assert reason is not None
    assert "letta-dev-postgres-data" in reason
    assert "docker volume rm" in reason
    assert "pulumi stack import" in reason


def test_a_volume_is_refused_while_the_stack_has_no_identity_yet() -> None:
    assert refusal("data", wanted={ID: ""}, found={ID: ""}) is not None


@pytest.mark.parametrize(
    ("state", "restarts", "is_job", "expected"),
    [
        ({"Status": "running", "Health": {"Status": "starting"}}, 0, False, None),
        ({"Status": "running", "Health": {"Status": "healthy"}}, 5, False, "healthy"),
        ({"Status": "exited", "Health": {"Status": "unhealthy"}}, 0, True, "hopeless"),
        ({"Status": "created", "Error": "no such file"}, 0, True, "hopeless"),
        ({"Status": "created", "Error": ""}, 0, True, None),
        ({"Status": "exited", "Health": {"Status": "healthy"}}, 0, True, "healthy"),
        ({"Status": "restarting", "Health": {"Status": "unhealthy"}}, 3, False, "hopeless"),
        ({"Status": "restarting", "Health": {"Status": "unhealthy"}}, 1, False, None),
    ],
)
def test_a_starting_container_is_given_up_only_when_it_cannot_become_healthy(
    state: dict[str, object], restarts: int, is_job: bool, expected: str | None
) -> None:
    assert verdict(state, restarts=restarts, is_job=is_job) == expected
