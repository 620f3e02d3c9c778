"""The two install methods of Pulumi: the official release, from a server with its URLs, and Go modules."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from toolchain import go_modules, pulumi, versions
from toolchain.errors import StepFailedError
from toolchain.install_method import InstallMethod
from toolchain.machine import Machine
from toolchain.progress import Progress
from toolchain.pulumi import Installation

pytestmark = pytest.mark.unit

LINUX = Machine(system="Linux", architecture="x86_64", distribution="debian", is_root=True)
VERSION = versions.read().pulumi
ARCHIVE = f"pulumi-v{VERSION}-linux-x64.tar.gz"

# Does what `pulumi plugin install` does with its one variable: download, keep in Pulumi's home.
PULUMI = """#!/bin/sh
[ "$1 $2 $3" = "plugin install resource" ] || exit 0
exec python3 - "$4" "$5" <<'END'
import os, pathlib, sys, urllib.request
name, version = sys.argv[1:]
base = os.environ["PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES"].partition("=")[2]
home = pathlib.Path(os.environ["HOME"], ".pulumi", "plugins", f"resource-{name}-v{version}")
content = urllib.request.urlopen(f"{base}/pulumi-resource-{name}-v{version}-linux-amd64.tar.gz").read()
home.mkdir(parents=True)
(home / "content").write_bytes(content)
END
"""


def release(*, program: str = PULUMI) -> bytes:
    """Return an archive that looks like Pulumi's, with files in it that must not be unpacked."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in (
            ("pulumi/pulumi", program),
            ("pulumi/pulumi-language-python", "#!/bin/sh\n"),
            ("../escaped", "outside"),
            ("elsewhere/file", "outside"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
        link = tarfile.TarInfo("pulumi/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return stream.getvalue()


@dataclass
class World:
    """A server with Pulumi's URLs, a home, and a Go build that writes a stand-in."""

    server: HTTPServer
    home: Path
    lines: list[str]
    environ: dict[str, str]

    def publish(self, content: bytes, *, sums: str | None = None, plugins: bool = True) -> None:
        digest = hashlib.sha256(content).hexdigest()
        listed = (
            f"{'0' * 64}  pulumi-v{VERSION}-darwin-arm64.tar.gz\n{digest}  {ARCHIVE}\n" if sums is None else sums
        )
        folder = "/releases/sdk"
        self.server.expect_request(f"{folder}/pulumi-{VERSION}-checksums.txt").respond_with_data(listed)
        self.server.expect_request(f"{folder}/{ARCHIVE}").respond_with_data(content)
        for plugin in versions.read().plugins if plugins else ():
            name = f"pulumi-{plugin.kind}-{plugin.name}-v{plugin.version}-linux-amd64.tar.gz"
            self.server.expect_request(f"/releases/plugins/{name}").respond_with_data(f"plugin {plugin.name}")

    def ensure(self, machine: Machine = LINUX) -> Installation:
        progress = Progress(self.lines.append, logs=self.home / "logs", heartbeat=60)
        return pulumi.ensure(progress, machine, self.environ)

    @property
    def said(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def world(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    def build(
        _progress: Progress, _wanted: object, _go: Path, folder: Path, _environ: object, **_: object
    ) -> None:
        (folder / "bin").mkdir()
        (folder / "bin" / "pulumi").write_text("built from Go modules")

    monkeypatch.setattr(go_modules, "find_go", lambda *_: Path("go"))
    monkeypatch.setattr(go_modules, "build", build)
    base = httpserver.url_for("").rstrip("/")
    environ = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "LETTA_PULUMI_INSTALLER_URL": base,
        "PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES": f".*={base}/releases/plugins",
    }
    return World(httpserver, tmp_path, [], environ)


def test_the_official_release_is_installed_where_it_is_reachable(world: World) -> None:
    world.publish(release())
    found = world.ensure()
    assert found.method is InstallMethod.OFFICIAL
    assert os.access(found.programs / "pulumi", os.X_OK)
    assert os.access(found.programs / "pulumi-language-python", os.X_OK)
    assert "install method: official release" in world.said
    plugins = world.home / ".pulumi" / "plugins"
    assert (plugins / "resource-docker-v5.2.0" / "content").read_text() == "plugin docker"
    assert len(list(plugins.iterdir())) == len(versions.read().plugins)


def test_only_files_of_the_releases_own_folder_are_unpacked(world: World) -> None:
    world.publish(release())
    found = world.ensure()
    assert sorted(path.name for path in found.programs.iterdir()) == ["pulumi", "pulumi-language-python"]
    assert not list(world.home.rglob("escaped"))


def test_a_second_run_downloads_nothing(world: World) -> None:
    world.publish(release())
    world.ensure()
    asked = len(world.server.log)
    world.lines.clear()
    world.ensure()
    assert len(world.server.log) == asked
    assert world.lines == []


def test_an_unreachable_host_leads_to_go_modules_and_the_reason_is_shown(world: World) -> None:
    world.environ["LETTA_PULUMI_INSTALLER_URL"] = "http://pulumi.invalid"
    found = world.ensure()
    assert found.method is InstallMethod.GO
    assert "official release not available: http://pulumi.invalid/releases/sdk" in world.said
    assert "install method: built from Go modules" in world.said


def test_a_portal_that_answers_with_a_page_leads_to_go_modules(world: World) -> None:
    world.publish(release(), sums="<html>please log in</html>")
    assert world.ensure().method is InstallMethod.GO
    assert f"does not list {ARCHIVE}" in world.said


def test_plugins_that_cannot_be_downloaded_lead_to_go_modules_and_leave_nothing_behind(world: World) -> None:
    world.publish(release(), plugins=False)
    assert world.ensure().method is InstallMethod.GO
    assert "plugin docker 5.2.0 cannot be downloaded" in world.said
    assert not pulumi.installation(InstallMethod.OFFICIAL, world.environ).entry.folder.exists()


def test_a_machine_without_a_release_builds_it(world: World) -> None:
    assert world.ensure(replace(LINUX, architecture="riscv64")).method is InstallMethod.GO
    assert "publishes nothing for Linux on riscv64" in world.said


def test_an_archive_that_is_not_the_published_one_is_refused(world: World) -> None:
    world.publish(release(), sums=f"{'a' * 64}  {ARCHIVE}\n")
    with pytest.raises(StepFailedError, match="checksum") as caught:
        world.ensure()
    assert "a" * 64 in caught.value.problem
    assert pulumi.installed(world.environ) is None


def test_an_existing_installation_is_used_whatever_its_install_method(world: World) -> None:
    world.environ["LETTA_PULUMI_INSTALLER_URL"] = "http://pulumi.invalid"
    world.ensure()
    world.environ["LETTA_PULUMI_INSTALLER_URL"] = world.server.url_for("")
    world.publish(release())
    assert world.ensure().method is InstallMethod.GO
    assert len(world.server.log) == 0


def test_an_install_method_can_be_chosen(world: World) -> None:
    world.publish(release())
    world.environ["LETTA_PULUMI_ROUTE"] = "go"
    assert world.ensure().method is InstallMethod.GO
    assert len(world.server.log) == 0


def test_a_chosen_install_method_that_is_not_available_is_an_error(world: World) -> None:
    world.environ |= {"LETTA_PULUMI_ROUTE": "official", "LETTA_PULUMI_INSTALLER_URL": "http://pulumi.invalid"}
    with pytest.raises(StepFailedError, match="chosen by LETTA_PULUMI_ROUTE"):
        world.ensure()


def test_an_unknown_install_method_is_an_error(world: World) -> None:
    world.environ["LETTA_PULUMI_ROUTE"] = "brew"
    with pytest.raises(StepFailedError, match="'brew'") as caught:
        world.ensure()
    assert "official, go" in caught.value.fix[0]


# -- Go ------------------------------------------------------------------------------------------------------


def fake_go(folder: Path, version: str) -> dict[str, str]:
    program = folder / "go"
    program.write_text(f'#!/bin/sh\necho "go version {version} linux/amd64"\n')
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize("version", ["go1.26", "go1.26.8", "go1.27rc1", "go2.0"])
def test_a_go_that_is_new_enough_is_used(tmp_path: Path, version: str) -> None:
    found, why = go_modules.system_go((1, 26), fake_go(tmp_path, version))
    assert found == tmp_path / "go"
    assert version.removeprefix("go").partition("rc")[0] in why


@pytest.mark.parametrize("version", ["go1.25.9", "go1.9", "devel"])
def test_a_go_that_is_too_old_or_odd_is_not_used_and_the_reason_is_given(tmp_path: Path, version: str) -> None:
    found, why = go_modules.system_go((1, 26), fake_go(tmp_path, version))
    assert found is None
    assert str(tmp_path / "go") in why


def test_our_own_go_keeps_its_builds_where_make_clean_removes_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environments: dict[str, Mapping[str, str]] = {}
    progress = Progress(lambda _: None, logs=tmp_path, heartbeat=60)

    def run(command: list[object], *, environment: Mapping[str, str], **_: object) -> None:
        environments[str(command[0])] = environment
        raise StepFailedError("enough")

    monkeypatch.setattr(progress, "run", run)
    cache = tmp_path / "cache"
    ours, theirs = cache / "go-1" / "go" / "bin" / "go", tmp_path / "usr" / "bin" / "go"
    for number, go in enumerate((ours, theirs)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(StepFailedError):
            go_modules.build(progress, versions.read(), go, folder, {"GOCACHE": "/theirs"}, cache=cache)
    assert Path(environments[str(ours)]["GOCACHE"]).is_relative_to(cache)
    assert Path(environments[str(ours)]["GOPATH"]).is_relative_to(cache)
    assert environments[str(theirs)]["GOCACHE"] == "/theirs"


def test_a_missing_go_is_reported(tmp_path: Path) -> None:
    assert go_modules.system_go((1, 26), {"PATH": str(tmp_path)}) == (None, "no Go on the PATH")


def test_changed_sources_mean_another_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = tmp_path / "go" / "pulumi"
    sources.mkdir(parents=True)
    (tmp_path / "versions.toml").write_text("")
    (sources / "go.sum").write_text("one")
    monkeypatch.setattr(versions, "FOLDER", tmp_path)
    monkeypatch.setattr(versions, "FILE", tmp_path / "versions.toml")

    def folders() -> tuple[Path, Path]:
        environ = {"HOME": str(tmp_path)}
        return (
            pulumi.installation(InstallMethod.GO, environ).entry.folder,
            pulumi.installation(InstallMethod.OFFICIAL, environ).entry.folder,
        )

    before = folders()
    (sources / "go.sum").write_text("two")
    after = folders()
    assert before[0] != after[0]
    assert before[1] == after[1]
    assert before[0] != before[1]


def test_the_versions_in_the_tree_can_be_read() -> None:
    read = versions.read()
    assert read.go_lock.is_file()
    assert {plugin.name for plugin in read.plugins} == {"docker", "random"}
    assert {plugin.binary for plugin in read.plugins} <= {binary.output for binary in read.binaries}
    assert all((binary.source / "go.sum").is_file() for binary in read.binaries)


@pytest.mark.parametrize(
    ("text", "numbers"), [("1.26.3", (1, 26, 3)), ("v3.259.0", (3, 259, 0)), ("1.27rc1", (1, 27)), ("", ())]
)
def test_versions_are_compared_by_their_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert versions.version_numbers(text) == numbers
