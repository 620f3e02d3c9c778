"""Every profile's configuration, validated by the collectors that run it: the image's, and each version's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import docker
import pytest

import otel
from otel.example import example
from testbed.collector import program
from testbed.containers import Ended, run_to_end

pytestmark = pytest.mark.engine

AWKWARD = "0123 $x ${env:HOME}"


def _validate(engine: docker.DockerClient, image: str, files: dict[str, str]) -> Ended:
    command = ("validate", "--config", "/etc/otelcol/config.yaml")
    return run_to_end(engine, image, *command, files=files, network_mode="none", cap_drop=["ALL"])


def _files(profile: otel.Profile) -> dict[str, str]:
    secrets = {
        f"{otel.CONTAINER.secrets_directory}/{name}": otel.secret_file(AWKWARD)
        for name in otel.secret_names(profile, token=True)
    }
    return {"etc/otelcol/config.yaml": example(profile, version=otel.DEFAULT_VERSION), **secrets}


@pytest.mark.parametrize("profile", otel.PROFILES.values(), ids=lambda profile: profile.name)
def test_the_image_accepts_its_configuration(
    engine: docker.DockerClient, images: dict[str, str], profile: otel.Profile
) -> None:
    ended = _validate(engine, images["collector"], _files(profile))

    assert ended.code == 0, ended.log


def test_the_image_refuses_an_unknown_key(engine: docker.DockerClient, images: dict[str, str]) -> None:
    files = _files(otel.PROFILES["file"])
    files["etc/otelcol/config.yaml"] = files["etc/otelcol/config.yaml"].replace(
        "check_interval:", "chekc_interval:"
    )

    ended = _validate(engine, images["collector"], files)

    assert ended.code != 0
    assert "chekc_interval" in ended.log


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("profile", otel.PROFILES.values(), ids=lambda profile: profile.name)
def test_each_version_accepts_each_profiles_configuration(
    tmp_path: Path, profile: otel.Profile, version: str
) -> None:
    code, printed = _validated(tmp_path, example(profile, version=version, layout=_layout(tmp_path)), version)

    assert code == 0, printed


@pytest.mark.parametrize("version", otel.VERSIONS)
def test_each_version_refuses_an_unknown_key(tmp_path: Path, version: str) -> None:
    text = example(otel.PROFILES["clickhouse-prod"], version=version, layout=_layout(tmp_path))

    code, printed = _validated(tmp_path, text.replace("check_interval:", "chekc_interval:"), version)

    assert code != 0
    assert "chekc_interval" in printed


def _layout(folder: Path) -> otel.ListenLayout:
    return otel.ListenLayout(
        data_directory=str(folder / "data"),
        secrets_directory=str(folder / "secrets"),
        log_directory=str(folder / "logs"),
    )


def _validated(folder: Path, text: str, version: str) -> tuple[int, str]:
    """Validate a configuration with a version's program; every folder and secret that it names exists."""
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
