"""Every profile's configuration, judged by the collector that would run it."""

from __future__ import annotations

import io
import tarfile

import docker
import pytest

import otel
from otel.example import example

pytestmark = pytest.mark.engine


@pytest.fixture(scope="session")
def collector_images(images: dict[str, str]) -> dict[str, str]:
    """Give the image of each collector version that the platform has built."""
    return {otel.DEFAULT_VERSION: images["collector"]}


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


def _files(profile: otel.Profile, version: str) -> dict[str, str]:
    secrets = {
        f"{otel.SECRETS_DIRECTORY}/{name}".lstrip("/"): otel.secret_file("0123 $x ${env:HOME}", version=version)
        for name in otel.secret_names(profile)
    }
    return {"etc/otelcol/config.yaml": example(profile, version=version), **secrets}


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("profile", otel.PROFILES.values(), ids=lambda profile: profile.name)
def test_the_collector_accepts_its_configuration(
    engine: docker.DockerClient, collector_images: dict[str, str], profile: otel.Profile, version: str
) -> None:
    if version not in collector_images:
        pytest.skip(f"no stack of these tests builds version {version}")

    code, printed = _validate(engine, collector_images[version], _files(profile, version))

    assert code == 0, printed


def test_the_collector_refuses_a_key_that_it_does_not_know(
    engine: docker.DockerClient, collector_images: dict[str, str]
) -> None:
    files = _files(otel.PROFILES["file"], otel.DEFAULT_VERSION)
    files["etc/otelcol/config.yaml"] = files["etc/otelcol/config.yaml"].replace(
        "check_interval:", "chekc_interval:"
    )

    code, printed = _validate(engine, collector_images[otel.DEFAULT_VERSION], files)

    assert code != 0
    assert "chekc_interval" in printed
