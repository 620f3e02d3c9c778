"""The built images: complete despite trimming, small, without build tools, each with its manifest."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest

from catalogue import BASE_IMAGE_NAME, COLLECTOR, LETTA, NGINX, SERVICES
from components import nginx
from testbed.containers import archive, read_file, run_to_end
from testbed.deployment import Container
from testbed.polling import eventually

pytestmark = pytest.mark.engine

SCRIPTS = Path(__file__).with_name("image_scripts")
USERS = {service.name: service.user for service in SERVICES}
MANIFEST = "/usr/share/letta-platform/manifest.txt"
LETTA_LIMIT_MB = 700

# Modules that cannot be imported in the untrimmed environment either: code for optional extras that the platform
# does not install, code that is broken upstream, and upstream's tests.
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
    """Run a command in a new container, without network and as hardened as in the platform; return its output."""
    program, *arguments = command
    user = f"uid={LETTA.user},gid={LETTA.user}"
    hardened = {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "tmpfs": {"/tmp": "mode=1777", "/var/lib/letta": user},
    }
    ended = run_to_end(engine, image, *arguments, entrypoint=[program], seconds=600, **{**hardened, **options})
    assert ended.code == 0, f"{program} exited with code {ended.code}:\n{ended.log[-6000:]}"
    return ended.output


def _run_script(engine: docker.DockerClient, image: str, name: str) -> Any:
    """Run a script of `image_scripts` with the server's Python; return the JSON in its last line."""
    printed = _run(engine, image, "/opt/letta/venv/bin/python", "-c", (SCRIPTS / f"{name}.py").read_text())
    return json.loads(printed.splitlines()[-1])


def _read(engine: docker.DockerClient, image: str, path: str) -> str:
    """Read a file from an image that may have no program to print it."""
    container = engine.containers.create(image)
    try:
        return read_file(container, path)
    finally:
        container.remove(force=True, v=True)


def test_every_module_of_the_server_imports(engine: docker.DockerClient, images: dict[str, str]) -> None:
    outcome = _run_script(engine, images["letta"], "import_everything")
    assert outcome["modules"] > 500
    assert {name: reason for name, reason in outcome["failures"].items() if name not in NOT_IMPORTABLE} == {}
    for name, reason in outcome["failures"].items():
        assert NOT_IMPORTABLE[name] in reason


def test_what_the_server_imports_on_demand_works_without_network(
    engine: docker.DockerClient, images: dict[str, str]
) -> None:
    outcome = _run_script(engine, images["letta"], "use_late_imports")
    assert {name: problem for name, problem in outcome.items() if problem} == {}


def test_the_start_shortcuts_change_no_route(engine: docker.DockerClient, images: dict[str, str]) -> None:
    outcome = _run_script(engine, images["letta"], "describe_api")
    assert outcome["routes"] > 100
    assert outcome["different"] == []
    assert outcome["same"]


def test_the_server_starts_from_bytecode(engine: docker.DockerClient, images: dict[str, str]) -> None:
    # Bytecode is used when the modification time recorded in it is that of its source in the image.
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


@pytest.mark.parametrize("name", [BASE_IMAGE_NAME, *sorted(USERS)])
def test_an_image_has_a_manifest_of_its_content(
    engine: docker.DockerClient, images: dict[str, str], name: str
) -> None:
    lines = _read(engine, images[name], MANIFEST).splitlines()
    assert lines[0] == f"image {name}"
    if name == "collector":
        assert any(line.startswith("module go.opentelemetry.io/collector/otelcol v") for line in lines)
    else:
        assert any(line.startswith("package libc6") for line in lines)
    if name == "letta":
        assert "python letta 0.16.8" in lines


@pytest.mark.parametrize("name", sorted({BASE_IMAGE_NAME, *USERS} - {COLLECTOR.name}))
def test_an_image_has_no_build_tools(engine: docker.DockerClient, images: dict[str, str], name: str) -> None:
    search = """
for tool in cc gcc g++ make ld strip go git curl wget pip pip3 uv pytest ruff; do command -v $tool; done
dpkg-query --show --showformat='${Package}\\n' | grep -E -- '-dev$|^python3-(pip|venv)$'
find / -xdev -type f -perm /6000 2>/dev/null
find /var/lib/apt/lists /var/cache/apt /root -xdev -type f 2>/dev/null | grep -v -E '/\\.(bashrc|profile)$|/lock$'
find / -xdev -type d \\( -name tests -o -name test \\) -path '*-packages*' 2>/dev/null
true
"""
    assert _run(engine, images[name], "/bin/bash", "-c", search, user="0:0").splitlines() == []


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
        # The layers' sizes, because engines report an image's size differently.
        layers = sum(layer["Size"] for layer in image.history())
        sizes[name] = (layers / 1e6, len(_read(engine, reference, MANIFEST).splitlines()))
    with capsys.disabled():
        print(f"\n{'image':<12}{'MB':>8}{'manifest lines':>16}")  # noqa: T201
        for name, (megabytes, lines) in sizes.items():
            print(f"{name:<12}{megabytes:>8.0f}{lines:>16}")  # noqa: T201
    assert sizes["letta"][0] <= LETTA_LIMIT_MB


@pytest.fixture
def edge(engine: docker.DockerClient, images: dict[str, str]) -> Iterator[Edge]:
    """A separate nginx with the platform's configuration, without a route, alone on its network."""
    name = f"letta-test-edge-{secrets.token_hex(3)}"
    network = engine.networks.create(name, internal=True)
    volume = engine.volumes.create(name)
    container = engine.containers.create(
        images["nginx"],
        tmpfs=dict.fromkeys(("/run/nginx", "/var/cache/nginx", "/tmp"), f"uid={NGINX.user},gid={NGINX.user}"),
        volumes={name: {"bind": "/var/lib/route", "mode": "rw"}},
        network=name,
        init=True,
    )
    network.disconnect(container)
    network.connect(container, aliases=["nginx"])
    try:
        configuration = nginx.configuration(debug=False)
        assert container.put_archive("/", archive({f"{nginx.CONFIG}/nginx.conf": configuration}))
        container.start()
        yield Edge(engine=engine, container=container, image=images["nginx"], name=name)
    finally:
        container.remove(force=True, v=True)
        volume.remove(force=True)
        network.remove()


@dataclass(kw_only=True)
class Edge:
    """An nginx container, and the volume with its route file."""

    engine: docker.DockerClient
    container: Container
    image: str
    name: str

    def job(self, *command: str) -> str:
        """Run a command in another container that shares volume and network, as the route job does."""
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
        """Send nginx a request from inside its container; return the full answer."""
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
    # The route names nginx's own internal listener as a server, and a host that cannot be resolved.
    edge.job("write-route", "v1", "unknown:8283", "nginx:8081")
    assert edge.get(8081, "/route").endswith("v1\n")
    assert edge.get(8080, "/healthz").endswith("ok\n")


def test_an_invalid_route_file_leaves_the_old_route(edge: Edge) -> None:
    edge.job("write-route", "v1", "nginx:8081")
    edge.job("bash", "-c", "printf 'version v2\\nnginx:8081; return 200\\n' > /var/lib/route/servers")
    for attempt in eventually(30):
        with attempt:
            assert "the old route stays" in edge.container.logs().decode()
    assert edge.get(8081, "/route").endswith("v1\n")
    assert edge.get(8080, "/healthz").endswith("ok\n")
