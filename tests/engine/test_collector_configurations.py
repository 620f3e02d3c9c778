"""Every profile's configuration, judged by the collectors that would run it: the image's, each version's own."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

import docker
import pytest

import otel
from otel.example import example
from testbed.collector import program

pytestmark = pytest.mark.engine

AWKWARD = "0123 $x ${env:HOME}"


def _archive(files: dict[str, str]) -> bytes:
    """Pack files that everybody may read."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content.encode()), 0o444
            archive.addfile(entry, io.BytesIO(content.encode()))
    return packed.getvalue()


def _validate(engine: docker.DockerClient, image: str, files: dict[str, str]) -> tuple[int, str]:
    container = engine.containers.create(
        image, ["validate", "--config", "/etc/otelcol/config.yaml"], network_mode="none", cap_drop=["ALL"]
    )
    try:
        container.put_archive("/", _archive(files))
        container.start()
        code = container.wait(timeout=120)["StatusCode"]
        return code, container.logs().decode()
    finally:
        container.remove(force=True, v=True)


def _files(profile: otel.Profile) -> dict[str, str]:
    secrets = {
        f"{otel.CONTAINER.secrets_directory}/{name}".lstrip("/"): otel.secret_file(AWKWARD)
        for name in otel.secret_names(profile, token=True)
    }
    return {"etc/otelcol/config.yaml": example(profile, version=otel.DEFAULT_VERSION), **secrets}


@pytest.mark.parametrize("profile", otel.PROFILES.values(), ids=lambda profile: profile.name)
def test_the_image_accepts_its_configuration(
    engine: docker.DockerClient, images: dict[str, str], profile: otel.Profile
) -> None:
    code, printed = _validate(engine, images["collector"], _files(profile))

    assert code == 0, printed


def test_the_image_refuses_a_key_that_it_does_not_know(
    engine: docker.DockerClient, images: dict[str, str]
) -> None:
    files = _files(otel.PROFILES["file"])
    files["etc/otelcol/config.yaml"] = files["etc/otelcol/config.yaml"].replace(
        "check_interval:", "chekc_interval:"
    )

    code, printed = _validate(engine, images["collector"], files)

    assert code != 0
    assert "chekc_interval" in printed


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("profile", otel.PROFILES.values(), ids=lambda profile: profile.name)
def test_each_version_accepts_each_profiles_configuration(
    tmp_path: Path, profile: otel.Profile, version: str
) -> None:
    code, printed = _judged(tmp_path, example(profile, version=version, layout=_place(tmp_path)), version)

    assert code == 0, printed


@pytest.mark.parametrize("version", otel.VERSIONS)
def test_each_version_refuses_a_key_that_it_does_not_know(tmp_path: Path, version: str) -> None:
    text = example(otel.PROFILES["clickhouse-prod"], version=version, layout=_place(tmp_path))

    code, printed = _judged(tmp_path, text.replace("check_interval:", "chekc_interval:"), version)

    assert code != 0
    assert "chekc_interval" in printed


def _place(folder: Path) -> otel.ListenLayout:
    return otel.ListenLayout(
        data_directory=str(folder / "data"),
        secrets_directory=str(folder / "secrets"),
        log_directory=str(folder / "logs"),
    )


def _judged(folder: Path, text: str, version: str) -> tuple[int, str]:
    """Let the program of a version validate a configuration; it finds every folder and secret."""
    for name in ("data/queue", "secrets", "logs"):
        (folder / name).mkdir(parents=True)
    for secret in re.findall(r"\$\{file:([^}]+)\}", text):
        Path(secret).write_text(otel.secret_file(AWKWARD, version=version))
    file = folder / "config.yaml"
    file.write_text(text)
    done = subprocess.run(
        [program(version), "validate", "--config", file], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr
