"""A deployed stack is changed with the real Pulumi CLI: no setting is refused for the protection of data.

`testbed.engineless_docker` takes the place of an engine. One stack goes through settings that make each kind of
change in both directions, on data that is protected and on data that is not; all pairs of settings are in
`tests/unit/components/test_changes.py`.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

import catalogue
from operations.console.errors import OperationError
from operations.stack.checkout import Checkout
from operations.stack.target import Target
from operations.verbs.down import down
from settings import SECRET_KEYS
from testbed import engineless_docker, stack_changes
from testbed.engineless_docker import EnginelessDocker
from tests.preview.conftest import Pulumi, command
from toolchain.locations import ROOT

pytestmark = pytest.mark.preview

STACK = "changed"
KEY = f"letta-{STACK}-encryption-key"
KEPT = {*catalogue.data_volumes(STACK), KEY}
"""Names of the resources that no change of settings may delete or replace."""
PROTECTED: stack_changes.Settings = {"protectData": True, "requireTls": True}


@dataclass(frozen=True)
class Stack:
    """A stack that is deployed without an engine."""

    pulumi: Pulumi
    docker: EnginelessDocker
    checkout: Path
    environment: Mapping[str, str]
    salt: str
    """What its file consists of without settings."""

    def change(self, settings: stack_changes.Settings) -> None:
        """Update with these settings and no others."""
        self.configure(settings)
        self.docker.deleted.clear()
        # A preview would take the same steps, and as long again.
        done = self.pulumi("up", "--yes", "--skip-preview", "--stack", STACK)
        assert done.returncode == 0, done.stdout
        assert not KEPT & set(map(name, self.docker.deleted)), settings

    def configure(self, settings: stack_changes.Settings) -> None:
        (self.checkout / f"Pulumi.{STACK}.yaml").write_text(self.salt)
        arguments = []
        for key, value in settings.items():
            for path, one in flat(f"letta:{key}", value):
                arguments += ["--secret" if key in SECRET_KEYS else "--plaintext", f"{path}={one}"]
        done = self.pulumi("config", "set-all", "--path", *arguments, "--stack", STACK)
        assert done.returncode == 0, done.stdout

    def export(self) -> dict[str, Any]:
        """Return the deployment, its secrets in plain text."""
        exported: dict[str, Any] = json.loads(
            self.pulumi("stack", "export", "--show-secrets", "--stack", STACK).stdout
        )
        return exported

    def target(self) -> Target:
        """Return what the verbs of `make` work on."""
        return Target(stack=STACK, environment=self.environment, checkout=Checkout(self.checkout))


def name(urn: str) -> str:
    return urn.rpartition("::")[2]


def kept(exported: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Return for each resource that must be kept the engine's id or the key, and whether it is protected."""
    return {
        name(one["urn"]): (
            json.loads(one["outputs"]["result"]["plaintext"]) if name(one["urn"]) == KEY else one["id"],
            bool(one.get("protect")),
        )
        for one in exported["deployment"]["resources"]
        if name(one["urn"]) in KEPT
    }


def flat(path: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield the path of each plain value, as `pulumi config set --path` takes it."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from flat(f"{path}.{key}", one)
    else:
        yield path, str(value).lower() if isinstance(value, bool) else value


def former(exported: dict[str, Any]) -> dict[str, Any]:
    """Return a deployment as versions left it in which components had their own volumes, and only those."""
    stem, platform = f"urn:pulumi:{STACK}::letta::", "letta:platform:Platform"
    telemetry = f"{platform}$letta:telemetry:Telemetry"
    parents = {
        "postgres-data": (f"{platform}$letta:data:Postgres", "postgres"),
        "logs": (telemetry, "telemetry"),
        "collector-queue": (f"{telemetry}$letta:telemetry:Collector", "collector"),
        "collector-1-queue": (f"{telemetry}$letta:telemetry:Collector", "collector"),
    }
    text = json.dumps(exported)
    for volume, (kinds, _) in parents.items():
        end = f"$docker:index/volume:Volume::letta-{STACK}-{volume}"
        text = text.replace(f"{stem}{platform}$letta:data:DataVolumes{end}", f"{stem}{kinds}{end}")
    changed: dict[str, Any] = json.loads(text)
    resources = [one for one in changed["deployment"]["resources"] if "$letta:data:DataVolumes" not in one["urn"]]
    for one in resources:
        if "$letta:data:DataVolumes" in one.get("parent", ""):
            kinds, component = parents[name(one["urn"]).removeprefix(f"letta-{STACK}-")]
            one["parent"] = f"{stem}{kinds}::letta-{STACK}-{component}"
    changed["deployment"]["resources"] = resources
    return changed


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """Return the address of an engine on which nothing exists, for the program's hooks and the verbs of `make`."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with HTTPServer() as server:
        server.no_handler_status_code = 404
        server.expect_request("/version").respond_with_json({"ApiVersion": "1.44"})
        for path, answer in (("containers/json", []), ("networks", []), ("volumes", {"Volumes": []})):
            server.expect_request(f"/v1.44/{path}").respond_with_json(answer)
        yield server.url_for("").replace("http", "tcp").rstrip("/")


@pytest.fixture(scope="module")
def stack(checkout: Path, environment: dict[str, str], engine: str) -> Iterator[Stack]:
    """Return a deployed stack that protects its data."""
    home = Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    (plugin,) = home.glob("plugins/resource-docker-v*/pulumi-resource-docker")
    own = {**environment, "DOCKER_HOST": engine}
    with engineless_docker.running(plugin, own) as (docker, variables):
        own |= variables
        pulumi = command(checkout, own)
        done = pulumi("stack", "init", STACK)
        assert done.returncode == 0, done.stdout
        salt = (checkout / f"Pulumi.{STACK}.yaml").read_text()
        made = Stack(pulumi=pulumi, docker=docker, checkout=checkout, environment=own, salt=salt)
        made.change(PROTECTED)
        yield made


def test_a_deployed_stack_takes_every_kind_of_change_and_keeps_its_data(stack: Stack, tmp_path: Path) -> None:
    before = {one: identity for one, (identity, _) in kept(stack.export()).items()}
    assert set(before) == KEPT
    destinations = {**stack_changes.CLICKHOUSE, **stack_changes.DATADOG, **stack_changes.SIGNOZ}
    for settings in (
        # What README advises for the committed staging file.
        {**PROTECTED, **stack_changes.TWO_COLLECTORS},
        {"protectData": True, **stack_changes.DATA},
        {
            "protectData": True,
            "telemetryProfile": "signoz",
            "bindAddress": "0.0.0.0",  # noqa: S104
            "networkSubnet": "10.87.0.0/22",
            "encryptionKey": before[KEY],
            **stack_changes.TWO_SERVERS,
            **stack_changes.PINNED,
            **destinations,
        },
        {
            "protectData": True,
            "telemetryProfile": "clickhouse-dev",
            "networkSubnet": "10.88.0.0/22",
            "collectorVersion": "0.96.0",
            "databaseCredentialGeneration": 2,
            **stack_changes.source_directory(tmp_path),
            **destinations,
        },
        # Protection ends in the same update as the use of the volumes.
        {"protectData": False},
        {"protectData": False, **stack_changes.DATA},
        {"protectData": False, **stack_changes.TWO_COLLECTORS},
        PROTECTED,
    ):
        stack.change(settings)
        wanted = {one: (identity, settings["protectData"]) for one, identity in before.items()}
        assert kept(stack.export()) == wanted, settings


def test_data_of_a_stack_that_an_earlier_version_deployed_is_taken_over(stack: Stack) -> None:
    stack.change({**PROTECTED, **stack_changes.TWO_COLLECTORS})
    done = stack.pulumi("stack", "import", "--stack", STACK, given=json.dumps(former(stack.export())))
    assert done.returncode == 0, done.stdout

    shown = stack.pulumi("preview", "--json", "--stack", STACK)
    assert shown.returncode == 0, shown.stdout
    steps = json.loads(shown.stdout[shown.stdout.index("{") :])["steps"]
    assert {step["op"] for step in steps} == {"same", "create"}
    assert {name(step["urn"]) for step in steps if step["op"] == "create"} == {
        f"letta-{STACK}-volumes",
        f"letta-{STACK}-traces",
    }


def test_a_protected_stack_is_taken_down_by_what_the_refusal_says(stack: Stack) -> None:
    stack.change({**PROTECTED, **stack_changes.TWO_COLLECTORS})
    refused = stack.pulumi("destroy", "--yes", "--skip-preview", "--stack", STACK)
    assert refused.returncode != 0
    assert "protect" in refused.stdout

    with pytest.raises(OperationError, match="protects its data") as raised:
        down(stack.target(), yes=True, leftovers=False)
    assert set(re.findall(r"letta-[\w-]+", raised.value.problem)) == KEPT
    commands = re.findall(r"`(.+?)`", " ".join(raised.value.fix))
    assert [words.split()[:2] for words in commands] == [["pulumi", "config"], ["make", "up"], ["make", "down"]]
    usual = [re.sub(r" (--stack |STACK=)\S+", "", one) for one in commands]
    assert ", ".join(f"`{one}`" for one in usual) in (ROOT / "README.md").read_text()
    done = stack.pulumi(*shlex.split(commands[0])[1:])
    assert done.returncode == 0, done.stdout
    # Until the next update, the data is as protected as before.
    with pytest.raises(OperationError, match="protects its data"):
        down(stack.target(), yes=True, leftovers=False)

    done = stack.pulumi("up", "--yes", "--skip-preview", "--stack", STACK)
    assert done.returncode == 0, done.stdout
    stack.docker.deleted.clear()
    down(stack.target(), yes=True, leftovers=False)
    assert set(catalogue.data_volumes(STACK)) <= set(map(name, stack.docker.deleted))
