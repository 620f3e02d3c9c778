"""The images as they are built: complete in spite of trimming, small, without tools, each with its manifest."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from components import nginx
from testbed.deployment import Container
from tests.engine.conftest import eventually

pytestmark = pytest.mark.engine

SCRIPTS = Path(__file__).with_name("image_scripts")
USERS = {"postgres": 10002, "redis": 10003, "nginx": 10004, "letta": 10001, "collector": 10005}
MANIFEST = "/usr/share/letta-platform/manifest.txt"
LETTA_LIMIT_MB = 700

# Modules that cannot be imported in the complete environment either: code for optional extras that the platform
# does not install, code that upstream left broken, and upstream's own tests.
NOT_IMPORTABLE = {
    "letta.agent": "COMPOSIO_ENTITY_ENV_VAR_KEY",
    "letta.functions.async_composio_toolset": "composio",
    "letta.functions.composio_helpers": "composio",
    "letta.groups.dynamic_multi_agent": "name 'Agent' is not defined",
    "letta.llm_api.bedrock_client": "aioboto3",
    "letta.orm.sqlite_functions": "sqlite_vec",
    "letta.server.rest_api.routers.openai.chat_completions.chat_completions": "COMPOSIO_ENTITY_ENV_VAR_KEY",
    "letta.services.sandbox_credentials_service_test": "pytest",
    "letta.services.tool_executor.composio_tool_executor": "COMPOSIO_ENTITY_ENV_VAR_KEY",
    "letta.services.tool_sandbox.e2b_sandbox": "e2b",
    "letta.services.tool_sandbox.modal_deployment_manager": "modal",
    "letta.services.tool_sandbox.modal_sandbox_v2": "modal",
    "letta.services.tool_sandbox.modal_version_manager": "modal",
    "letta.services.webhook_service_test": "pytest",
}


def _run(engine: docker.DockerClient, image: str, *command: str, **options: Any) -> str:
    """Run a command in a fresh container without network, as hardened as in the platform; give what it printed."""
    container = engine.containers.create(
        image,
        list(command[1:]),
        entrypoint=[command[0]],
        **{
            "network_mode": "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "tmpfs": {"/tmp": "mode=1777", "/var/lib/letta": "uid=10001,gid=10001"},
            **options,
        },
    )
    try:
        container.start()
        code = container.wait(timeout=600)["StatusCode"]
        printed = container.logs(stdout=True, stderr=False).decode()
        errors = container.logs(stdout=False, stderr=True).decode()
        assert code == 0, f"{command[0]} ended with {code}:\n{printed[-2000:]}\n{errors[-4000:]}"
        return printed
    finally:
        container.remove(force=True, v=True)


def _run_script(engine: docker.DockerClient, image: str, name: str) -> Any:
    """Run one of the scripts beside this file with the server's Python; give the JSON in its last line."""
    printed = _run(engine, image, "/opt/letta/venv/bin/python", "-c", (SCRIPTS / f"{name}.py").read_text())
    return json.loads(printed.splitlines()[-1])


def _read(engine: docker.DockerClient, image: str, path: str) -> str:
    """Read a file from an image that may have no program to print it."""
    container = engine.containers.create(image)
    try:
        stream, _ = container.get_archive(path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            member = archive.extractfile(archive.getmembers()[0])
            assert member is not None
            return member.read().decode()
    finally:
        container.remove(force=True, v=True)


def test_every_module_of_the_server_imports(engine: docker.DockerClient, images: dict[str, str]) -> None:
    outcome = _run_script(engine, images["letta"], "import_everything")
    assert outcome["modules"] > 500
    assert {name: reason for name, reason in outcome["failures"].items() if name not in NOT_IMPORTABLE} == {}
    for name, reason in outcome["failures"].items():
        assert NOT_IMPORTABLE[name] in reason


def test_what_the_server_imports_late_works_without_network(
    engine: docker.DockerClient, images: dict[str, str]
) -> None:
    outcome = _run_script(engine, images["letta"], "use_late_imports")
    assert {name: problem for name, problem in outcome.items() if problem} == {}


def test_the_short_cuts_of_the_start_change_no_route(engine: docker.DockerClient, images: dict[str, str]) -> None:
    outcome = _run_script(engine, images["letta"], "describe_api")
    assert outcome["routes"] > 100
    assert outcome["different"] == []
    assert outcome["same"]


def test_the_server_starts_from_bytecode(engine: docker.DockerClient, images: dict[str, str]) -> None:
    # Bytecode is used when the time of its source that is written in it is the time of the source in the image.
    count = """
import pathlib, struct
sources = [p for p in pathlib.Path("/opt/letta/venv/lib").rglob("*.py") if "__pycache__" not in p.parts]
valid = 0
for source in sources:
    compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
    if compiled.exists():
        valid += struct.unpack("<II", compiled.read_bytes()[4:12]) == (0, int(source.stat().st_mtime))
print(valid / len(sources))
"""
    share = float(_run(engine, images["letta"], "/opt/letta/venv/bin/python", "-c", count))
    # A few files are templates or for other versions of Python, and do not compile.
    assert share > 0.99


@pytest.mark.parametrize("name", sorted(USERS))
def test_an_image_runs_as_its_own_user(engine: docker.DockerClient, images: dict[str, str], name: str) -> None:
    assert engine.images.get(images[name]).attrs["Config"]["User"] == f"{USERS[name]}:{USERS[name]}"


@pytest.mark.parametrize("name", ["base", *sorted(USERS)])
def test_an_image_says_what_is_in_it(engine: docker.DockerClient, images: dict[str, str], name: str) -> None:
    lines = _read(engine, images[name], MANIFEST).splitlines()
    assert lines[0] == f"image {name}"
    if name == "collector":
        assert any(line.startswith("module go.opentelemetry.io/collector/otelcol v") for line in lines)
    else:
        assert any(line.startswith("package libc6") for line in lines)
    if name == "letta":
        assert "python letta 0.16.8" in lines


@pytest.mark.parametrize("name", ["base", "letta", "nginx", "postgres", "redis"])
def test_an_image_has_nothing_to_build_with(
    engine: docker.DockerClient, images: dict[str, str], name: str
) -> None:
    look = """
for tool in cc gcc g++ make ld strip go git curl wget pip pip3 uv pytest ruff; do command -v $tool; done
dpkg-query --show --showformat='${Package}\\n' | grep -E -- '-dev$|^python3-(pip|venv)$'
find / -xdev -type f -perm /6000 2>/dev/null
find /var/lib/apt/lists /var/cache/apt /root -xdev -type f 2>/dev/null | grep -v -E '/\\.(bashrc|profile)$|/lock$'
find / -xdev -type d \\( -name tests -o -name test \\) -path '*-packages*' 2>/dev/null
true
"""
    assert _run(engine, images[name], "/bin/bash", "-c", look, user="0:0").splitlines() == []


def test_the_collector_has_no_shell(engine: docker.DockerClient, images: dict[str, str]) -> None:
    with pytest.raises(docker.errors.APIError):
        _run(engine, images["collector"], "/bin/sh", "-c", "true")
    assert "0.149.0" in _run(engine, images["collector"], "/otelcol", "--version")


def test_the_images_are_small(
    engine: docker.DockerClient, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    sizes: dict[str, tuple[float, int]] = {}
    for name, reference in images.items():
        image = engine.images.get(reference)
        # The layers' own sizes, because engines do not agree on what an image's size is.
        layers = sum(layer["Size"] for layer in image.history())
        sizes[name] = (layers / 1e6, len(_read(engine, reference, MANIFEST).splitlines()))
    with capsys.disabled():
        print(f"\n{'image':<12}{'MB':>8}{'manifest lines':>16}")  # noqa: T201
        for name, (megabytes, lines) in sizes.items():
            print(f"{name:<12}{megabytes:>8.0f}{lines:>16}")  # noqa: T201
    assert sizes["letta"][0] <= LETTA_LIMIT_MB


@pytest.fixture
def edge(engine: docker.DockerClient, images: dict[str, str]) -> Iterator[Edge]:
    """Give an nginx of its own, with the platform's configuration, no route, and nobody else on its network."""
    name = f"letta-test-edge-{secrets.token_hex(3)}"
    network = engine.networks.create(name, internal=True)
    volume = engine.volumes.create(name)
    container = engine.containers.create(
        images["nginx"],
        tmpfs=dict.fromkeys(("/run/nginx", "/var/cache/nginx", "/tmp"), "uid=10004,gid=10004"),
        volumes={name: {"bind": "/var/lib/route", "mode": "rw"}},
        network=name,
        init=True,
    )
    network.disconnect(container)
    network.connect(container, aliases=["nginx"])
    try:
        configuration = nginx.configuration(debug=False).encode()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            member = tarfile.TarInfo("nginx.conf")
            member.size, member.mode = len(configuration), 0o644
            tar.addfile(member, io.BytesIO(configuration))
        assert container.put_archive("/etc/nginx/letta", archive.getvalue())
        container.start()
        yield Edge(engine=engine, container=container, image=images["nginx"], name=name)
    finally:
        container.remove(force=True, v=True)
        volume.remove(force=True)
        network.remove()


@dataclass(kw_only=True)
class Edge:
    """One nginx container and the volume that its route lies in."""

    engine: docker.DockerClient
    container: Container
    image: str
    name: str

    def job(self, *command: str) -> str:
        """Run a command in another container that shares volume and network, as the route JOB does."""
        mount = {self.name: {"bind": "/var/lib/route", "mode": "rw"}}
        return _run(
            self.engine,
            self.image,
            *command,
            network_mode=None,
            network=self.name,
            volumes=mount,
            tmpfs={"/tmp": ""},
        )

    def get(self, port: int, path: str) -> str:
        """Ask nginx from inside its container; give the whole answer."""
        request = f"GET {path} HTTP/1.0\\r\\nHost: nginx\\r\\n\\r\\n"
        ask = f'exec 3<>/dev/tcp/127.0.0.1/{port}; printf "{request}" >&3; cat <&3'
        answer = self.container.exec_run(["bash", "-c", ask]).output
        assert isinstance(answer, bytes)
        return answer.decode()


def test_nginx_starts_without_a_route_and_follows_the_route_file(edge: Edge) -> None:
    for attempt in eventually(30):
        with attempt:
            assert edge.get(8081, "/healthz").endswith("ok\n")
    assert "502" in edge.get(8080, "/healthz").splitlines()[0]
    # The servers that the route names are nginx itself: its internal listener, and one that cannot be found.
    edge.job("write-route", "v1", "nobody:8283", "nginx:8081")
    assert edge.get(8081, "/route").endswith("v1\n")
    assert edge.get(8080, "/healthz").endswith("ok\n")


def test_a_route_file_that_is_not_valid_leaves_the_old_route(edge: Edge) -> None:
    edge.job("write-route", "v1", "nginx:8081")
    edge.job("bash", "-c", "printf 'version v2\\nnginx:8081; return 200\\n' > /var/lib/route/servers")
    for attempt in eventually(30):
        with attempt:
            assert "the old route stays" in edge.container.logs().decode()
    assert edge.get(8081, "/route").endswith("v1\n")
    assert edge.get(8080, "/healthz").endswith("ok\n")
