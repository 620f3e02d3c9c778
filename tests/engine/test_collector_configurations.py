"""Every profile's configuration, judged by the collector that would run it."""

from __future__ import annotations

import io
import tarfile

import docker
import pytest

import otel
from otel.example import example

pytestmark = pytest.mark.engine


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
        f"{otel.CONTAINER.secrets_directory}/{name}".lstrip("/"): otel.secret_file("0123 $x ${env:HOME}")
        for name in otel.secret_names(profile)
    }
    return {"etc/otelcol/config.yaml": example(profile, version=otel.DEFAULT_VERSION), **secrets}


@pytest.mark.parametrize("profile", otel.PROFILES.values(), ids=lambda profile: profile.name)
def test_the_collector_accepts_its_configuration(
    engine: docker.DockerClient, images: dict[str, str], profile: otel.Profile
) -> None:
    code, printed = _validate(engine, images["collector"], _files(profile))

    assert code == 0, printed


def test_the_collector_refuses_a_key_that_it_does_not_know(
    engine: docker.DockerClient, images: dict[str, str]
) -> None:
    files = _files(otel.PROFILES["file"])
    files["etc/otelcol/config.yaml"] = files["etc/otelcol/config.yaml"].replace(
        "check_interval:", "chekc_interval:"
    )

    code, printed = _validate(engine, images["collector"], files)

    assert code != 0
    assert "chekc_interval" in printed
