"""No secret is found where it does not belong; and the search finds secrets that are leaked on purpose."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from catalogue import STACK_LABEL
from testbed.canary.channels import (
    ContainerLogs,
    Files,
    ImageLayers,
    Inspections,
    Processes,
    ProcessWatch,
    Text,
    channels_of,
)
from testbed.canary.search import Channel, find_leaks, plant_canaries
from testbed.containers import archive
from testbed.deployment import Deployment

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def secrets_in_use(platform: Deployment, canaries: dict[str, str]) -> dict[str, str]:
    """The canaries that were set, and the secrets that the program generated."""
    exported = json.loads(platform.pulumi("stack", "export", "--show-secrets").output)
    generated = {
        resource["urn"].rpartition("::")[2]: json.loads(resource["outputs"]["result"]["plaintext"])
        for resource in exported["deployment"]["resources"]
        if resource["type"].endswith("RandomPassword")
    }
    assert len(generated) >= 3, "database passwords and the bundle key are generated"
    return {**canaries, **generated}


def test_no_secret_is_found_anywhere(platform: Deployment, secrets_in_use: dict[str, str]) -> None:
    leaks = find_leaks(secrets_in_use, channels_of(platform))
    assert leaks == []


def test_no_secret_is_in_a_command_line_while_an_update_runs(
    platform: Deployment, secrets_in_use: dict[str, str]
) -> None:
    with ProcessWatch() as watch:
        platform.pulumi("up", "--yes", "--skip-preview")
    assert find_leaks(secrets_in_use, [watch]) == []


Leak = Callable[[Deployment, str], AbstractContextManager[None]]


@contextmanager
def _into_inspection(platform: Deployment, secret: str) -> Iterator[None]:
    labels = {STACK_LABEL: platform.stack}
    base = platform.outputs()["images"]["base"]
    container = platform.engine.containers.create(base, environment={"KEY": secret}, labels=labels)
    try:
        yield
    finally:
        container.remove(force=True)


@contextmanager
def _into_a_log(platform: Deployment, secret: str) -> Iterator[None]:
    labels = {STACK_LABEL: platform.stack}
    base = platform.outputs()["images"]["base"]
    # The command line is in the inspection, too; only the log channel is searched here.
    container = platform.engine.containers.run(base, ["echo", secret], labels=labels, detach=True)
    try:
        container.wait(timeout=30)
        yield
    finally:
        container.remove(force=True)


@contextmanager
def _into_an_image_layer(platform: Deployment, secret: str) -> Iterator[None]:
    dockerfile = f"FROM {platform.outputs()['images']['base']}\nCOPY key /key\n"
    content = io.BytesIO(archive({"Dockerfile": dockerfile, "key": secret}))
    labels = {STACK_LABEL: platform.stack}
    image, _ = platform.engine.images.build(fileobj=content, custom_context=True, rm=True, forcerm=True)
    container = platform.engine.containers.create(str(image.id), labels=labels)
    try:
        yield
    finally:
        container.remove(force=True)
        platform.engine.images.remove(str(image.id), force=True)


@contextmanager
def _into_a_command_line(platform: Deployment, secret: str) -> Iterator[None]:  # noqa: ARG001
    # A new process has no command line for a moment: wait for its first output.
    code = "import sys; print(flush=True); sys.stdin.read()"
    arguments = [sys.executable, "-c", code, secret]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield
        finally:
            process.communicate()


@contextmanager
def _into_the_state(platform: Deployment, secret: str) -> Iterator[None]:
    path = platform.state / "leak.json"
    path.write_text(json.dumps({"key": secret}))
    try:
        yield
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("leak", "channel"),
    [
        (_into_inspection, Inspections),
        (_into_a_log, ContainerLogs),
        (_into_an_image_layer, ImageLayers),
        (_into_a_command_line, Processes),
        (_into_the_state, Files),
    ],
)
def test_the_search_finds_a_secret_that_is_leaked_on_purpose(
    platform: Deployment, leak: Leak, channel: type[Channel]
) -> None:
    secrets = plant_canaries("leaked")
    asked = [one for one in channels_of(platform) if isinstance(one, channel)]
    assert find_leaks(secrets, asked) == []
    with leak(platform, secrets["leaked"]):
        found = find_leaks(secrets, asked)
    assert [one.canary for one in found][:1] == ["leaked"]


def test_the_search_finds_a_secret_in_a_preview(platform: Deployment) -> None:
    secrets = plant_canaries("leaked")
    platform.set(serverEnvironment={"HARMLESS": secrets["leaked"]})
    try:
        shown = platform.pulumi("preview", "--diff").output
    finally:
        platform.set(serverEnvironment=None)
    assert find_leaks(secrets, [Text(name="preview", text=shown)])
