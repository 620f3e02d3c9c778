"""The official install method with the real CLI: a local server has Pulumi's URLs."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from toolchain import pulumi, versions
from toolchain.install_method import InstallMethod
from toolchain.machine import detect
from toolchain.progress import Progress

pytestmark = pytest.mark.preview

ARCHITECTURES = {"x86_64": ("x64", "amd64"), "aarch64": ("arm64", "arm64"), "arm64": ("arm64", "arm64")}


def tarball(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    # Packed and not compressed: that takes seconds for Pulumi, and is not what is tested.
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=0) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def test_the_release_of_the_official_host_installs_and_pulumi_downloads_its_plugins(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    present = pulumi.installed()
    assert present, "no Pulumi on this machine: `make toolchain`"
    machine, wanted = detect(), versions.read()
    system = machine.system.lower()
    release, plugin_platform = ARCHITECTURES[machine.architecture]
    name = f"pulumi-v{wanted.pulumi}-{system}-{release}.tar.gz"
    content = tarball({"pulumi/pulumi": (present.programs / "pulumi").read_bytes()})
    sums = f"{hashlib.sha256(content).hexdigest()}  {name}\n"
    httpserver.expect_request(f"/releases/sdk/pulumi-{wanted.pulumi}-checksums.txt").respond_with_data(sums)
    httpserver.expect_request(f"/releases/sdk/{name}").respond_with_data(content)
    for plugin in wanted.plugins:
        file = f"pulumi-{plugin.kind}-{plugin.name}-v{plugin.version}-{system}-{plugin_platform}.tar.gz"
        httpserver.expect_request(f"/releases/plugins/{file}").respond_with_data(
            tarball({plugin.binary: b"#!/bin/sh\n"})
        )
    url = httpserver.url_for("").rstrip("/")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PULUMI_HOME": str(tmp_path / ".pulumi"),
        "LETTA_PULUMI_ROUTE": "official",
        "LETTA_PULUMI_INSTALLER_URL": url,
        "PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES": f".*={url}/releases/plugins",
    }
    lines: list[str] = []

    found = pulumi.ensure(Progress(lines.append, logs=tmp_path / "logs"), machine, environ)

    assert found.method is InstallMethod.OFFICIAL
    said = subprocess.run(
        [shutil.which("pulumi", path=found.programs) or "", "version"],
        env={**environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip().removeprefix("v") == wanted.pulumi
    for plugin in wanted.plugins:
        folder = tmp_path / ".pulumi" / "plugins" / f"{plugin.kind}-{plugin.name}-v{plugin.version}"
        assert (folder / plugin.binary).is_file()
    asked = [request.path for request, _ in httpserver.log]
    assert asked[:2] == [f"/releases/sdk/pulumi-{wanted.pulumi}-checksums.txt", f"/releases/sdk/{name}"]
