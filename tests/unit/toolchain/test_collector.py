"""The two install methods of the collector: the release, from a server with its URLs, and Go modules."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

import otel
from toolchain import collector, go_modules
from toolchain.collector import Installation
from toolchain.errors import StepFailedError
from toolchain.install_method import InstallMethod
from toolchain.machine import Machine
from toolchain.progress import Progress
from toolchain.versions import Binary

pytestmark = pytest.mark.unit

LINUX = Machine(system="Linux", architecture="x86_64")
VERSION = otel.DEFAULT_VERSION
PLATFORMS = {
    "linux_amd64": LINUX,
    "linux_arm64": replace(LINUX, architecture="aarch64"),
    "darwin_amd64": Machine(system="Darwin", architecture="x86_64"),
    "darwin_arm64": Machine(system="Darwin", architecture="arm64"),
}


def program(version: str = VERSION, name: str = "otelcol-contrib") -> bytes:
    return f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} version {version}"\n'.encode()


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return an archive that looks like the release's, with something in it that must not be unpacked."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as packed:
        for name, content in {"README.md": b"words", "../escaped": b"outside", **files}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            packed.addfile(member, io.BytesIO(content))
    return stream.getvalue()


RELEASE = archive({"otelcol-contrib": program()})


@dataclass
class World:
    """A server with the releases' URLs, a home, and a Go whose builds are scripts."""

    server: HTTPServer
    home: Path
    environ: dict[str, str]
    lines: list[str] = field(default_factory=list)
    built: list[tuple[Binary, Mapping[str, str]]] = field(default_factory=list)

    def publish(
        self, content: bytes | None = RELEASE, *, platform: str = "linux_amd64", sums: str | None = None
    ) -> None:
        folder, name = f"/v{VERSION}", f"otelcol-contrib_{VERSION}_{platform}.tar.gz"
        digest = hashlib.sha256(content or b"").hexdigest()
        listed = sums if sums is not None else f"{'0' * 64}  {name}.sbom.json\n{digest}  {name}\n"
        path = f"{folder}/opentelemetry-collector-releases_otelcol-contrib_checksums.txt"
        self.server.expect_request(path).respond_with_data(listed)
        if content is not None:
            self.server.expect_request(f"{folder}/{name}").respond_with_data(content)

    def ensure(self, machine: Machine = LINUX) -> Installation:
        progress = Progress(self.lines.append, logs=self.home / "logs", heartbeat=60)
        return collector.ensure(progress, machine, self.environ, version=VERSION)

    def leftovers(self) -> list[str]:
        cache = self.home / ".cache" / "letta-platform"
        return [path.name for path in cache.iterdir() if path.is_dir()] if cache.is_dir() else []

    @property
    def said(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def world(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    environ = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "LETTA_COLLECTOR_RELEASES_URL": httpserver.url_for("").rstrip("/"),
    }
    made = World(httpserver, tmp_path, environ)

    def build(
        _progress: Progress, binary: Binary, _go: Path, output: Path, environment: Mapping[str, str]
    ) -> None:
        made.built.append((binary, environment))
        output.write_bytes(program(name="otelcol"))
        output.chmod(0o755)

    monkeypatch.setattr(go_modules, "find_go", lambda *_: Path("go"))
    monkeypatch.setattr(go_modules, "build_one", build)
    return made


@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_platform_gets_its_own_release(world: World, platform: str) -> None:
    world.publish(platform=platform)

    found = world.ensure(PLATFORMS[platform])

    assert found.method is InstallMethod.OFFICIAL
    assert os.access(found.program, os.X_OK)
    assert [request.path for request, _ in world.server.log] == [
        f"/v{VERSION}/opentelemetry-collector-releases_otelcol-contrib_checksums.txt",
        f"/v{VERSION}/otelcol-contrib_{VERSION}_{platform}.tar.gz",
    ]
    assert "its checksum is the one that its publisher lists" in world.said


def test_a_download_that_is_kept_elsewhere_is_followed_there(world: World) -> None:
    name = f"otelcol-contrib_{VERSION}_linux_amd64.tar.gz"
    sums = f"{hashlib.sha256(RELEASE).hexdigest()}  {name}\n"
    world.publish(None, sums=sums)
    moved = {"Location": world.server.url_for("/assets/1")}
    world.server.expect_request(f"/v{VERSION}/{name}").respond_with_data(status=302, headers=moved)
    world.server.expect_request("/assets/1").respond_with_data(RELEASE)

    assert world.ensure().method is InstallMethod.OFFICIAL


@pytest.mark.parametrize("platform", PLATFORMS)
def test_each_platform_builds_where_nothing_can_be_downloaded(world: World, platform: str) -> None:
    world.environ["LETTA_COLLECTOR_RELEASES_URL"] = "http://releases.invalid"

    found = world.ensure(PLATFORMS[platform])

    assert found.method is InstallMethod.GO
    ((binary, environment),) = world.built
    assert binary.source == collector.SOURCES / VERSION
    assert f"-X main.version={VERSION}" in binary.ldflags
    assert environment["CGO_ENABLED"] == "0"
    assert "official release not available: http://releases.invalid/v" in world.said


@pytest.mark.parametrize(
    ("changed", "built_again"),
    [("main.go", True), ("go.sum", True), ("durable/disk.go", True), ("durable/disk_test.go", False)],
)
def test_what_is_built_from_changed_sources_is_another_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, built_again: bool
) -> None:
    monkeypatch.setattr(collector, "SOURCES", tmp_path)
    source = tmp_path / VERSION / changed
    source.parent.mkdir(parents=True)

    def folder() -> Path:
        return collector.installation(VERSION, InstallMethod.GO, LINUX, {}).entry.folder

    source.write_text("before")
    before = folder()
    source.write_text("after")

    assert (folder() != before) is built_again


@pytest.mark.parametrize("system", ["Windows", "CYGWIN_NT-10.0", "MSYS_NT-10.0-22631", "MINGW64_NT-10.0"])
def test_windows_is_refused_with_the_reason_and_a_way_out(world: World, system: str) -> None:
    world.publish()

    with pytest.raises(StepFailedError, match="file modes") as caught:
        world.ensure(replace(LINUX, system=system))

    assert "wsl --install" in caught.value.fix[0]
    assert len(world.server.log) == 0
    assert world.built == []


def test_only_the_program_is_unpacked(world: World) -> None:
    world.publish()

    found = world.ensure()

    assert sorted(path.name for path in found.entry.folder.iterdir()) == ["complete.json", "otelcol"]
    assert not list(world.home.rglob("escaped"))


def test_a_second_run_downloads_nothing_and_reports_nothing(world: World) -> None:
    world.publish()
    world.ensure()
    asked = len(world.server.log)
    world.lines.clear()

    world.ensure()

    assert len(world.server.log) == asked
    assert world.lines == []


def remove(installed: Path) -> None:
    installed.unlink()


def replace_by_another_version(installed: Path) -> None:
    installed.write_bytes(program("0.96.0"))


def spoil(installed: Path) -> None:
    installed.write_bytes(b"\x7fELF but nothing more")


def forbid(installed: Path) -> None:
    installed.chmod(0o400)


def leave_half_made(installed: Path) -> None:
    (installed.parent / "complete.json").unlink()
    installed.write_bytes(program()[:9])


@pytest.mark.parametrize("harm", [remove, replace_by_another_version, spoil, forbid, leave_half_made])
def test_a_program_that_is_absent_different_or_unreadable_is_replaced(world: World, harm: object) -> None:
    world.publish()
    found = world.ensure()
    harm(found.program)  # type: ignore[operator]

    again = world.ensure()

    assert again.program.read_bytes() == program()
    assert collector.reported_version(again.program) == VERSION
    assert "is damaged" in world.said


def test_a_program_is_asked_for_its_version_and_not_only_compared(world: World, tmp_path: Path) -> None:
    says = tmp_path / "says"
    says.write_text(VERSION)
    world.publish(archive({"otelcol-contrib": f'#!/bin/sh\necho "x version $(cat {says})"\n'.encode()}))
    found = world.ensure()
    says.write_text("0.96.0")

    assert found.entry.damage() == f"its program is of version 0.96.0, not {VERSION}"


@pytest.mark.parametrize("version", ["0.96.0", "latest"])
def test_a_release_that_is_of_another_version_is_not_kept(world: World, version: str) -> None:
    world.publish(archive({"otelcol-contrib": program(version)}))

    with pytest.raises(StepFailedError, match=f"not {VERSION}"):
        world.ensure()

    assert world.leftovers() == []


def test_a_release_without_the_program_is_refused(world: World) -> None:
    world.publish(archive({"elsewhere/otelcol-contrib": program()}))

    with pytest.raises(StepFailedError, match="no program `otelcol-contrib`"):
        world.ensure()

    assert world.leftovers() == []


def test_an_archive_with_another_checksum_is_refused_and_not_replaced_by_a_build(world: World) -> None:
    world.publish(sums=f"{'a' * 64}  otelcol-contrib_{VERSION}_linux_amd64.tar.gz\n")

    with pytest.raises(StepFailedError, match="checksum") as caught:
        world.ensure()

    assert "a" * 64 in caught.value.problem
    assert world.built == []
    assert world.leftovers() == []


def test_an_archive_that_ends_too_early_leads_to_go_modules(world: World) -> None:
    def cut(_request: object) -> Response:
        answer = Response(RELEASE[: len(RELEASE) // 2])
        answer.headers["Content-Length"] = str(len(RELEASE))
        return answer

    path = f"/v{VERSION}/otelcol-contrib_{VERSION}_linux_amd64.tar.gz"
    world.server.expect_ordered_request(
        f"/v{VERSION}/opentelemetry-collector-releases_otelcol-contrib_checksums.txt"
    ).respond_with_data(f"{hashlib.sha256(RELEASE).hexdigest()}  {path.rpartition('/')[2]}\n")
    world.server.expect_ordered_request(path).respond_with_handler(cut)

    assert world.ensure().method is InstallMethod.GO
    assert "cannot be downloaded" in world.said


def test_an_archive_that_is_not_there_leads_to_go_modules(world: World) -> None:
    world.publish(None)

    assert world.ensure().method is InstallMethod.GO
    assert "cannot be downloaded: Server error" in world.said or "cannot be downloaded: Client error" in world.said


@pytest.mark.parametrize(
    "sums", ["", "<html>please log in</html>", f"{'0' * 64}  otelcol-contrib_{VERSION}_windows_386.tar.gz\n"]
)
def test_checksums_that_lack_the_archive_lead_to_go_modules(world: World, sums: str) -> None:
    world.publish(sums=sums)

    assert world.ensure().method is InstallMethod.GO
    assert f"does not list otelcol-contrib_{VERSION}_linux_amd64.tar.gz" in world.said


def test_a_machine_without_a_release_builds(world: World) -> None:
    assert world.ensure(replace(LINUX, architecture="riscv64")).method is InstallMethod.GO
    assert "no release is known for Linux on riscv64" in world.said


def test_an_install_method_can_be_chosen(world: World) -> None:
    world.publish()
    world.environ["LETTA_COLLECTOR_ROUTE"] = "go"

    assert world.ensure().method is InstallMethod.GO
    assert len(world.server.log) == 0


def test_a_chosen_install_method_that_is_not_available_is_an_error(world: World) -> None:
    world.environ |= {
        "LETTA_COLLECTOR_ROUTE": "official",
        "LETTA_COLLECTOR_RELEASES_URL": "http://releases.invalid",
    }

    with pytest.raises(StepFailedError, match="chosen by LETTA_COLLECTOR_ROUTE"):
        world.ensure()


def test_each_version_and_install_method_has_a_folder_of_its_own(world: World) -> None:
    folders = {
        collector.installation(version, method, LINUX, world.environ).entry.folder
        for version in otel.VERSIONS
        for method in InstallMethod
    }

    assert len(folders) == 2 * len(otel.VERSIONS)


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo 'otelcol-contrib version 0.96.0'", "0.96.0"),
        ("echo 'otelcol version v0.149.0'", "0.149.0"),
        ("echo 'otelcol version unknown'", None),
        ("echo 'otelcol version 0.149.0'; exit 3", None),
        ("exit 0", None),
        ("printf '\\377\\376'", None),
    ],
)
def test_the_version_is_what_the_program_says(tmp_path: Path, script: str, version: str | None) -> None:
    file = tmp_path / "otelcol"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)

    assert collector.reported_version(file) == version


def test_what_is_no_program_has_no_version(tmp_path: Path) -> None:
    assert collector.reported_version(tmp_path / "absent") is None
    assert collector.reported_version(tmp_path) is None
