"""The Debian base image: pulled, else bootstrapped, else refused with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from toolchain import base_image
from toolchain.base_image import NAME, PullError
from toolchain.errors import StepFailedError
from toolchain.machine import Machine
from toolchain.progress import Progress

pytestmark = pytest.mark.unit

DEBIAN = Machine(
    system="Linux",
    architecture="x86_64",
    distribution="debian",
    is_root=True,
    programs=frozenset({"apt-get", "mmdebstrap"}),
)
DIGEST = "debian@sha256:" + "0" * 64


@dataclass
class FakeImages:
    """An engine's images."""

    names: set[str] = field(default_factory=set)
    registry: bool = True
    labels: dict[str, str] = field(default_factory=dict)
    loaded: bytes = b""

    def present(self, name: str) -> bool:
        return name in self.names

    def pull(self, repository: str, tag: str) -> str:
        if not self.registry:
            raise PullError("dial tcp: lookup registry: no such host")
        self.names.add(f"{repository}:{tag}")
        return DIGEST

    def tag(self, source: str, repository: str, tag: str) -> None:
        assert source in self.names
        self.names.add(f"{repository}:{tag}")

    def load(self, tarball: Path, repository: str, tag: str, labels: Mapping[str, str]) -> None:
        self.loaded = tarball.read_bytes()
        self.labels.update(labels)
        self.names.add(f"{repository}:{tag}")


class Shown(Progress):
    """Keeps lines and commands; a command's output is `a tree`."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.ran: list[list[str]] = []
        super().__init__(self.lines.append, logs=folder, heartbeat=60)

    def run(self, command: object, *, output: Path | None = None, **_: object) -> Path:
        assert isinstance(command, list)
        self.ran.append([str(word) for word in command])
        if output:
            output.write_bytes(b"a tree")
        return Path()


@pytest.fixture
def progress(tmp_path: Path) -> Shown:
    return Shown(tmp_path)


def test_an_existing_image_is_kept(progress: Shown) -> None:
    images = FakeImages(names={NAME})
    base_image.ensure(progress, DEBIAN, images, {})
    assert images.names == {NAME}
    assert progress.lines == []


def test_it_is_pulled_where_a_registry_is_reachable_and_the_digest_is_shown(progress: Shown) -> None:
    images = FakeImages()
    base_image.ensure(progress, DEBIAN, images, {})
    assert NAME in images.names
    assert any(DIGEST in line for line in progress.lines)
    assert progress.ran == []


def test_it_is_bootstrapped_where_no_registry_is_reachable(progress: Shown) -> None:
    images = FakeImages(registry=False)
    base_image.ensure(progress, DEBIAN, images, {})
    assert NAME in images.names
    assert images.loaded == b"a tree"
    assert images.labels["letta-platform.image"] == "debian"
    assert progress.ran == [["mmdebstrap", "--variant=minbase", "--include=ca-certificates", "trixie", "-"]]
    assert any("no such host" in line for line in progress.lines)


def test_a_mirror_can_be_given(progress: Shown) -> None:
    base_image.ensure(
        progress, DEBIAN, FakeImages(registry=False), {"LETTA_DEBIAN_MIRROR": "http://mirror.test/debian"}
    )
    assert progress.ran[0][-1] == "http://mirror.test/debian"


def test_mmdebstrap_is_installed_where_that_is_allowed(progress: Shown) -> None:
    machine = replace(DEBIAN, programs=frozenset({"apt-get"}))
    base_image.ensure(progress, machine, FakeImages(registry=False), {})
    assert [command[0] for command in progress.ran] == ["apt-get", "apt-get", "mmdebstrap"]


@pytest.mark.parametrize(
    "machine",
    [
        Machine(system="Darwin", architecture="arm64"),
        replace(DEBIAN, programs=frozenset({"apt-get"}), is_root=False),
        replace(DEBIAN, programs=frozenset({"apt-get"}), system_packages_refused=True),
    ],
    ids=str,
)
def test_where_it_can_neither_be_pulled_nor_built_the_fixes_are_named(progress: Shown, machine: Machine) -> None:
    with pytest.raises(StepFailedError) as caught:
        base_image.ensure(progress, machine, FakeImages(registry=False), {})
    assert machine.why_no_packages in caught.value.problem
    assert "baseImage" in str(caught.value)
    assert "apt-get install mmdebstrap" in str(caught.value)
    assert progress.ran == []
