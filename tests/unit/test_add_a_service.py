"""CONTRIBUTING's recipe "A service", followed in a clone: two new things, four edited files, what is generated.

The service is called `echo`; it has an image, memory, a published port and a data volume. What follows from the
edits (images, ports, memory, labels, volumes, checks, generated pages, tests) is then read from the clone.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testbed.checkout import clone

pytestmark = pytest.mark.unit

COMPONENT = '''
"""Echo: answers what it is sent."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

import catalogue
from runtime import Attachment, HealthCheck, Limits, Mount, PublishedPort, Rollout, Runtime, ServiceSpec, Volume

PORT = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class EchoArgs:
    """What distinguishes one echo from another."""

    runtime: Runtime
    image: pulumi.Input[str]
    network: pulumi.Input[str]
    limits: Limits
    published: PublishedPort
    data: Volume
    deadline_seconds: int


class Echo(pulumi.ComponentResource):
    """An echo that answers."""

    def __init__(self, name: str, args: EchoArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:app:Echo", name, None, opts)
        args.runtime.run(
            name,
            ServiceSpec(
                service=catalogue.ECHO.name,
                image=args.image,
                user=catalogue.ECHO.user,
                limits=args.limits,
                rollout=Rollout.STOP_FIRST,
                health=HealthCheck(command=("echo-healthy",)),
                mounts=(Mount(volume=args.data, path="/var/lib/echo"),),
                networks=(Attachment(network=args.network, aliases=("echo",)),),
                ports=(args.published,),
                deadline_seconds=args.deadline_seconds,
            ),
            parent=self,
        )
        self.register_outputs({})
'''

IMAGE = """
ARG BASE
FROM ${BASE}
ENTRYPOINT ["echo-server"]
"""

# File → (pattern, what to put in front of it): everything that the recipe says to edit.
EDITS = {
    "catalogue.py": [
        (
            r"SERVICES = \(",
            "ECHO = Service(\n"
            '    name="echo", user=10006, memory_mb=48, ports=("echoPort",), data_volumes=("echo-data",)\n'
            ")\n\n",
        ),
        (r"(?<=NGINX)\)\n", ", ECHO"),
    ],
    "settings/model.py": [
        (r"    network_subnet: ", '    echo_port: Port = Field(default=7007, description="Port of echo")\n'),
        (
            r"    postgres_max_connections: ",
            '    echo_memory_mb: Annotated[Megabytes, Field(ge=16), Rule("must be at least 16 (MiB)")] = Field(\n'
            '        default=catalogue.ECHO.memory_mb, description="Memory limit of echo in MiB"\n'
            "    )\n"
            "    echo_cpus: Cpus | None = Field(\n"
            '        default=None, description="CPU limit of echo; none: no limit", examples=["0.5"]\n'
            "    )\n",
        ),
    ],
    "Pulumi.yaml": [
        (
            r"  networkSubnet:\n",
            "  echoPort:\n    type: integer\n    description: Port of echo\n    default: 7007\n",
        ),
        (
            r"  postgresMaxConnections:\n",
            "  echoMemoryMb:\n    type: integer\n    description: Memory limit of echo in MiB\n    default: 48\n"
            '  echoCpus:\n    type: string\n    description: "CPU limit of echo; none: no limit"\n'
            "    default: none\n",
        ),
    ],
    "components/platform.py": [
        (
            r"from components\.images import",
            "from components.echo import PORT as ECHO_PORT\nfrom components.echo import Echo, EchoArgs\n",
        ),
        (
            r"        Nginx\(\n",
            """\
        Echo(
            f"{self._name}-echo",
            EchoArgs(
                runtime=self._runtime,
                image=self._images.name(catalogue.ECHO.name),
                network=network.tier("edge"),
                limits=Limits(memory_mb=settings.echo_memory_mb, cpus=settings.echo_cpus),
                published=self._port(ECHO_PORT, settings.echo_port),
                data=self._volumes.volume("echo-data"),
                deadline_seconds=settings.start_timeout_seconds,
            ),
            opts=self._child,
        )
""",
        ),
    ],
}  # fmt: skip

# What Pulumi knows its resources by, as the failing test prints it.
IDENTITIES = (
    "letta:platform:Platform$letta:app:Echo$docker:index/container:Container::letta-dev-echo "
    "parent=letta-dev-echo",
    "letta:platform:Platform$letta:data:DataVolumes$docker:index/volume:Volume::letta-dev-echo-data "
    "parent=letta-dev-volumes",
    "letta:platform:Platform$letta:app:Echo::letta-dev-echo parent=letta-dev",
    "letta:platform:Platform$letta:docker:ImageBuild$docker:index/remoteImage:RemoteImage::letta-dev-image-echo "
    "parent=letta-dev-image-echo",
    "letta:platform:Platform$letta:docker:ImageBuild::letta-dev-image-echo parent=letta-dev",
)

# Run in the clone: what its parts know of the service.
PROBE = """
import json

import catalogue
import settings
from development import topology
from operations.checks import machine
from settings import SettingsError, load

resources = topology.registered()
drawn = topology.topology(resources)
(echo,) = [one for one in drawn.services if one.name == "echo"]
(container,) = [inputs for kind, name, inputs in resources if name == "letta-dev-echo" and "container:" in kind]
loaded = load({}, (), stack="dev")
try:
    load({"pinnedImages": {"base": "x@sha256:" + "0" * 64}}, (), stack="dev")
    refused = ""
except SettingsError as error:
    refused = str(error)
try:
    load({"echoPort": 8283}, (), stack="dev")
    collision = ""
except SettingsError as error:
    collision = str(error)
print(json.dumps({
    "names": sorted(name for _, name, _ in resources),
    "built": sorted(inputs["name"].split(":")[0] for kind, name, inputs in resources if ":RemoteImage" in kind),
    "labels": {one["label"]: one["value"] for one in container["labels"]},
    "user": echo.user,
    "memory": echo.memory_mb,
    "ports": [port.external for port in echo.ports],
    "volumes": {name: drawn.volumes[name] for name in echo.volumes},
    "data volumes": sorted(catalogue.data_volumes("dev")),
    "published": dict(settings.published_ports(loaded)),
    "memory limits": dict(settings.memory_limits(loaded)),
    "checked ports": [one.key for one in machine.wanted_ports(loaded)],
    "refused": refused,
    "collision": collision,
}))
"""

Facts = dict[str, Any]


def run(checkout: Path, *arguments: str) -> str:
    """Run Python in a checkout, and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone in which the recipe has been followed."""
    target = clone(tmp_path_factory.mktemp("clone"))
    (target / "components" / "echo.py").write_text(COMPONENT.lstrip())
    (target / "images" / "echo").mkdir()
    (target / "images" / "echo" / "Dockerfile").write_text(IMAGE.lstrip())
    for name, insertions in EDITS.items():
        text = (target / name).read_text()
        for pattern, inserted in insertions:
            (found,) = re.finditer(pattern, text)
            text = text[: found.start()] + inserted + text[found.start() :]
        (target / name).write_text(text)
    return target


@pytest.fixture(scope="module")
def facts(checkout: Path) -> Facts:
    """Return what the clone knows of its new service."""
    found: Facts = json.loads(run(checkout, "-c", PROBE).splitlines()[-1])
    return found


def test_a_service_costs_a_component_an_image_and_edits_of_four_files(checkout: Path) -> None:
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=checkout, capture_output=True, text=True, check=True
    ).stdout
    assert sorted(status.splitlines()) == [
        " M Pulumi.yaml",
        " M catalogue.py",
        " M components/platform.py",
        " M settings/model.py",
        "?? components/echo.py",
        "?? images/echo/",
    ]


def test_the_program_registers_it_next_to_everything_that_it_registered_before(
    checkout: Path, facts: Facts
) -> None:
    golden = (checkout / "tests/unit/components/golden/resources-dev.txt").read_text()
    before = {line.partition(" ")[0].rpartition("::")[2] for line in golden.splitlines()}
    assert before < set(facts["names"])
    assert set(facts["names"]) - before == {"letta-dev-echo", "letta-dev-echo-data", "letta-dev-image-echo"}
    assert "letta-platform.invalid/echo" in facts["built"]


def test_it_runs_as_the_catalogue_says(facts: Facts) -> None:
    assert (facts["user"], facts["memory"], facts["ports"]) == ("10006", 48, [7007])
    assert facts["volumes"] == {"echo-data": True}
    assert facts["labels"] == {"letta-platform.stack": "dev", "letta-platform.service": "echo"}


def test_its_data_is_known_to_the_checks_for_what_is_left_over(facts: Facts) -> None:
    assert "letta-dev-echo-data" in facts["data volumes"]


def test_settings_and_checks_count_its_memory_its_port_and_its_image(facts: Facts) -> None:
    assert facts["memory limits"]["echo"] == 48
    assert facts["published"]["echoPort"] == 7007
    assert "echoPort" in facts["checked ports"]
    assert "echoPort" in facts["collision"]
    assert "echo" in facts["refused"]


@pytest.fixture(scope="module")
def complete(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the clone after the last steps of the recipe: `make docs`, and the golden files."""
    target = clone(tmp_path_factory.mktemp("complete"), origin=checkout)
    run(target, "-m", "development", "docs")
    golden = target / "tests" / "unit" / "components" / "golden" / "resources-dev.txt"
    golden.write_text("".join(f"{line}\n" for line in sorted([*golden.read_text().splitlines(), *IDENTITIES])))
    return target


def test_the_generated_pages_show_it(complete: Path) -> None:
    configuration = (complete / "docs" / "configuration.md").read_text()
    assert all(f"| `letta:{key}` |" in configuration for key in ("echoPort", "echoMemoryMb", "echoCpus"))
    architecture = (complete / "docs" / "architecture.md").read_text()
    assert "| `echo` | 10006 | 48 MiB |" in architecture
    assert "7007" in architecture


def test_tests_of_all_services_pass_with_it(complete: Path) -> None:
    unit = "tests/unit"
    printed = run(
        complete,
        *("-m", "pytest", "-m", "unit", "-n0", "-q", "-p", "no:cacheprovider"),
        # One stack: the others differ in their settings only.
        *("-k", "not staging and not prod"),
        f"{unit}/components/test_program.py",
        f"{unit}/components/test_services.py",
        f"{unit}/components/test_changes.py::test_the_table_has_every_setting",
        f"{unit}/settings/test_declared.py",
        f"{unit}/settings/test_mistakes.py",
        f"{unit}/settings/test_properties.py::test_ports_are_accepted_exactly_if_what_runs_has_distinct_ones",
        f"{unit}/development/test_architecture_docs.py",
        f"{unit}/operations/checks/test_machine.py",
    )
    assert re.search(r"\d+ passed", printed)
