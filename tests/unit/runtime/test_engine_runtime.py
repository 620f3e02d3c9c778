"""How services become containers: hardening, rollout, file bundles, and who waits for whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

import catalogue
from runtime import (
    Attachment,
    FileBundle,
    HealthCheck,
    HostFolder,
    Limits,
    Mount,
    PublishedPort,
    Rollout,
    Runtime,
    RuntimeArgs,
    ServiceSpec,
    Tmpfs,
    factory,
)
from runtime.engine.bundle import content_label
from runtime.engine.formats import cpu_share, duration
from tests.unit.conftest import Deploy, Registered

pytestmark = pytest.mark.unit

CONTAINER = "docker:index/container:Container"
VOLUME = "docker:index/volume:Volume"

Program = Callable[[Runtime, pulumi.Resource], object]


def deployed(deploy: Deploy, program: Program) -> list[Registered]:
    """Run a program that gets a runtime and a parent for what it creates."""

    def complete() -> None:
        args = RuntimeArgs(stack="dev", stack_id="id", bundle_key="key", base_image="base")
        program(factory.create(args), pulumi.ComponentResource("test:test:Parent", "parent"))

    return deploy(complete)


def spec(**fields: Any) -> ServiceSpec:
    """Return what a service needs that needs little."""
    usual = {"service": "thing", "image": "image", "user": 7, "limits": Limits(memory_mb=32)}
    return ServiceSpec(**{**usual, "rollout": Rollout.ROLLING, **fields})


def ran(deploy: Deploy, given: ServiceSpec) -> Registered:
    """Return the container of a service that runs alone."""
    return container(deployed(deploy, lambda runtime, parent: runtime.run("thing", given, parent=parent)))


def container(seen: list[Registered], name: str = "thing") -> Registered:
    (found,) = [one for one in seen if one.typ == CONTAINER and one.name == name]
    return found


def labels(one: Registered) -> dict[str, str]:
    return {label["label"]: label["value"] for label in one.value("labels")}


def test_every_service_gets_the_hardening_baseline(deploy: Deploy) -> None:
    found = ran(
        deploy,
        spec(
            limits=Limits(memory_mb=64, cpus=0.5),
            health=HealthCheck(command=("healthy",)),
            networks=(Attachment(network="app", aliases=("thing",)),),
            tmpfs=(Tmpfs(path="/tmp", size_mb=4),),
        ),
    )
    assert found.value("readOnly") is True
    assert found.value("user") == "7:7"
    assert found.value("capabilities") == {"drops": ["ALL"]}
    assert found.value("securityOpts") == ["no-new-privileges:true"]
    assert found.value("init") is True
    assert found.value("memory") == found.value("memorySwap") == 64
    assert found.value("cpus") == "0.5"
    assert found.value("logOpts") == {"max-size": "10m", "max-file": "3"}
    assert found.value("restart") == "unless-stopped"
    assert labels(found) == {"letta-platform.service": "thing", "letta-platform.stack": "dev"}


def test_a_service_waits_until_it_is_healthy(deploy: Deploy) -> None:
    found = ran(deploy, spec(health=HealthCheck(command=("healthy",))))
    assert found.value("wait") is True
    assert found.value("healthcheck")["tests"] == ["CMD", "healthy"]


def test_a_job_is_healthy_when_it_has_succeeded_and_is_not_restarted(deploy: Deploy) -> None:
    found = ran(deploy, spec(rollout=Rollout.JOB, deadline_seconds=60))
    assert found.value("restart") == "no"
    assert found.value("mustRun") is False
    assert found.value("wait") is True
    check = found.value("healthcheck")
    assert check["tests"][:3] == ["CMD", "run-job", "--succeeded"]
    # The check waits for the success, and must not be ended by the engine while it does.
    assert int(check["tests"][3]) < int(check["timeout"].removesuffix("s"))
    assert "/run/job" in found.value("tmpfs")


@pytest.mark.parametrize(
    ("rollout", "stops_first"), [(Rollout.ROLLING, False), (Rollout.STOP_FIRST, True), (Rollout.JOB, False)]
)
def test_the_rollout_decides_which_of_two_containers_goes_first(
    deploy: Deploy, rollout: Rollout, stops_first: bool
) -> None:
    request = ran(deploy, spec(rollout=rollout)).request
    assert request.deleteBeforeReplaceDefined
    assert request.deleteBeforeReplace is stops_first


def test_a_service_has_the_time_to_stop_that_it_asks_for(deploy: Deploy) -> None:
    found = ran(deploy, spec(drain_seconds=45, stop_signal="SIGINT"))
    assert found.value("destroyGraceSeconds") == found.value("stopTimeout") == 45
    assert found.value("stopSignal") == "SIGINT"


# -- volumes and files -----------------------------------------------------------------------------------


def bundle(content: pulumi.Input[str]) -> FileBundle:
    return FileBundle(service="thing", owner=7, path="/run/secrets", files={"KEY": content})


def test_a_secret_reaches_a_service_only_as_a_file_in_a_mounted_bundle(deploy: Deploy) -> None:
    secret: pulumi.Output[str] = pulumi.Output.secret("canary")

    def program(runtime: Runtime, parent: pulumi.Resource) -> None:
        files = runtime.files("thing-secrets", bundle(secret), parent=parent)
        runtime.run("thing", spec(files=(files,)), parent=parent)

    seen = deployed(deploy, program)
    holder = container(seen, "thing-secrets")
    assert holder.is_secret("uploads")
    assert holder.value("uploads") == [
        {"file": "/run/secrets/KEY", "content": "canary", "permissions": "0400", "owner": "7", "group": "7"}
    ]
    assert holder.value("start") is False
    assert labels(holder)[catalogue.SERVICE_LABEL] == f"thing{catalogue.FILES_SUFFIX}"
    workload = container(seen)
    assert "canary" not in str(workload.inputs)
    assert workload.value("volumes") == [
        {"volumeName": "thing-secrets", "containerPath": "/run/secrets", "readOnly": True}
    ]


def test_a_bundle_is_created_once_for_all_services_that_mount_it(deploy: Deploy) -> None:
    def program(runtime: Runtime, parent: pulumi.Resource) -> None:
        files = runtime.files("shared", bundle("text"), parent=parent)
        for name in ("first", "second"):
            runtime.run(name, spec(files=(files,)), parent=parent)

    seen = deployed(deploy, program)
    assert [one.name for one in seen if one.typ == VOLUME] == ["shared"]
    assert container(seen, "first").value("volumes") == container(seen, "second").value("volumes")


def test_services_wait_for_the_volumes_and_the_files_that_they_mount(deploy: Deploy) -> None:
    def program(runtime: Runtime, parent: pulumi.Resource) -> None:
        data = runtime.data_volume("data", protect=True, parent=parent)
        scratch = runtime.scratch_volume("scratch", parent=parent)
        files = runtime.files("files", bundle("text"), parent=parent)
        mounts = (
            Mount(volume=data, path="/data"),
            Mount(volume=scratch, path="/scratch", read_only=True),
            HostFolder(source="/home/me", path="/source"),
        )
        runtime.run("thing", spec(mounts=mounts, files=(files,)), parent=parent)

    seen = deployed(deploy, program)
    found = container(seen)
    assert found.value("volumes") == [
        {"volumeName": "data", "containerPath": "/data", "readOnly": False},
        {"volumeName": "scratch", "containerPath": "/scratch", "readOnly": True},
        {"hostPath": "/home/me", "containerPath": "/source", "readOnly": True},
        {"volumeName": "files", "containerPath": "/run/secrets", "readOnly": True},
    ]
    needed = {tuple(urn.split("$")[-1].split("::")) for urn in found.request.dependencies}
    assert {(VOLUME, "data"), (VOLUME, "scratch"), (CONTAINER, "files")} <= needed


def test_a_data_volume_has_its_full_name_is_protected_and_says_whose_it_is(deploy: Deploy) -> None:
    (volume,) = deployed(
        deploy, lambda runtime, parent: runtime.data_volume("letta-dev-data", protect=True, parent=parent)
    )[1:]
    assert volume.value("name") == "letta-dev-data"
    assert volume.request.protect
    assert volume.request.retainOnDelete
    assert labels(volume) == {
        catalogue.SERVICE_LABEL: catalogue.DATA_SERVICE,
        catalogue.STACK_LABEL: "dev",
        catalogue.STACK_ID_LABEL: "id",
    }


def test_a_changed_secret_is_another_bundle(deploy: Deploy) -> None:
    def label(content: str) -> str:
        seen = deployed(
            deploy, lambda runtime, parent: runtime.files("thing-secrets", bundle(content), parent=parent)
        )
        (volume,) = [one for one in seen if one.typ == VOLUME]
        return labels(volume)[catalogue.CONTENT_LABEL]

    assert label("one") == label("one")
    assert label("one") != label("two")


def test_the_digest_of_a_bundle_cannot_be_guessed_without_its_key() -> None:
    assert content_label("key", {"a": "b"}) != content_label("other", {"a": "b"})


# -- forms that the engine reads back --------------------------------------------------------------------


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
    written = {1: "1.0", 0.5: "0.5", 1.5: "1.5", 0.1: "0.1", 0.25: "0.25", 9.99: "9.99", 1.05: "1.05"}
    # The provider leaves the point behind tens: written like that, nothing differs when it is read back.
    written |= {10: "10.", 10.5: "10.5", 11: "11.0", 100: "100.", 101: "101.", 110.5: "110.5", 1024: "1024."}
    assert {cpus: cpu_share(cpus) for cpus in written} == written


@pytest.mark.parametrize("cpus", [0.01, 0.05, 10.05, 20.05, 100.25, 0.0000000001])
def test_a_cpu_share_that_the_provider_reads_back_as_another_is_an_error(cpus: float) -> None:
    with pytest.raises(ValueError, match=r"reads .* CPUs back as"):
        cpu_share(cpus)


def test_ports_are_in_the_order_in_which_the_provider_compares_them(deploy: Deploy) -> None:
    ports = tuple(PublishedPort(internal=port, external=port, address="127.0.0.1") for port in (9, 4, 7))
    found = ran(deploy, spec(rollout=Rollout.STOP_FIRST, ports=ports))
    assert [port["internal"] for port in found.value("ports")] == [4, 7, 9]
