"""What the benchmarks compare the stack with: copies of its server, and the same services in Compose."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import compose_project, compose_tool, server_copies
from benchmarks.platform import LABEL

pytestmark = pytest.mark.unit


SECOND = 10**9


def _inspected(**changed: Any) -> dict[str, Any]:
    config = {
        "Image": "letta-platform.invalid/x:1",
        "User": "10001:10001",
        "Env": ["A=1", "PRICE=$5", "LETTA_OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317"],
        "Cmd": ["server"],
        "Entrypoint": ["entry"],
        "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD", "healthy"], "Interval": SECOND, "Timeout": 3 * SECOND, "Retries": 3},
        **changed,
    }
    host = {
        "Binds": ["bundle:/run/secrets:ro"],
        "CapDrop": ["ALL"],
        "Init": True,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "Memory": 100,
        "MemorySwap": 100,
        "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "28283"}]},
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "unless-stopped"},
        "SecurityOpt": ["no-new-privileges:true"],
        "ShmSize": 64,
        "Tmpfs": {"/tmp": "rw,uid=10001"},
        "NetworkMode": "bridge",
    }
    return {"Config": config, "HostConfig": host, "NetworkSettings": {"Networks": {"b-data": {}, "a-app": {}}}}


def test_a_copy_of_a_server_is_as_hardened_as_the_server() -> None:
    body = server_copies.body(_inspected(), image="other:2", environment={"A": "2", "B": "3"}, label="bench-1")
    assert body["Image"] == "other:2"
    assert {"A=2", "B=3", "PRICE=$5"} <= set(body["Env"])
    assert body["User"] == "10001:10001"
    host = body["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Binds"] == ["bundle:/run/secrets:ro"]
    assert host["Tmpfs"] == {"/tmp": "rw,uid=10001"}


def test_a_copy_of_a_server_has_no_label_of_the_stack_and_no_port() -> None:
    body = server_copies.body(_inspected(), image=None, environment={}, label="bench-1")
    assert body["Labels"] == {LABEL: "bench-1"}
    assert "PortBindings" not in body["HostConfig"]
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"a-app": {}}}


def _project(tmp_path: Path) -> dict[str, Any]:
    containers = {service: _inspected() for service in compose_project.SERVICES}
    containers["roles"] = _inspected(Cmd=["postgres-roles"], Entrypoint=["run-job"])
    return compose_project.project("bench-1", containers, tmp_path)


def test_the_compose_project_waits_for_the_same_health(tmp_path: Path) -> None:
    services = _project(tmp_path)["services"]
    assert services["letta"]["healthcheck"] == {
        "test": ["CMD", "healthy"],
        "retries": 3,
        "interval": "1000000000ns",
        "timeout": "3000000000ns",
    }
    assert services["letta"]["depends_on"] == {
        "migration": {"condition": "service_completed_successfully"},
        "redis": {"condition": "service_healthy"},
    }


def test_the_compose_project_runs_jobs_without_the_wrapper(tmp_path: Path) -> None:
    roles = _project(tmp_path)["services"]["roles"]
    assert roles["entrypoint"] == ["postgres-roles"]
    assert roles["restart"] == "no"
    assert "healthcheck" not in roles


def test_the_compose_project_escapes_dollars(tmp_path: Path) -> None:
    environment = _project(tmp_path)["services"]["letta"]["environment"]
    assert environment == {"A": "1", "PRICE": "$$5"}


def test_the_compose_project_mounts_existing_files_and_has_no_secret(tmp_path: Path) -> None:
    compose_project.write_files(tmp_path, "s3cretpassword")
    document = _project(tmp_path)
    files = [one["file"] for kind in ("secrets", "configs") for one in document[kind].values()]
    assert all(Path(file).is_file() for file in files)
    assert "s3cretpassword" not in yaml.safe_dump(document)
    for service in document["services"].values():
        assert set(service.get("secrets", ())) <= set(document["secrets"])
        assert {one["source"] for one in service.get("configs", ())} <= set(document["configs"])


def test_compose_is_pinned_with_its_exclusions() -> None:
    text = (compose_tool.SOURCE / "go.mod").read_text()
    assert re.fullmatch(r"2\.\d+\.\d+", compose_tool.pinned(text))
    assert "exclude (" in text
    assert (compose_tool.SOURCE / "go.sum").stat().st_size > 0


def test_a_go_mod_without_compose_is_refused() -> None:
    with pytest.raises(ValueError, match="not required"):
        compose_tool.pinned("module x\n")
