"""What files and folders a setting may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from settings import Problem, SettingsError, load
from testbed.certificates import Authority

pytestmark = pytest.mark.unit


def refused(key: str, path: Path) -> Problem:
    with pytest.raises(SettingsError) as caught:
        load({f"letta:{key}": str(path)}, (), stack="dev")
    (problem,) = caught.value.problems
    return problem


def test_paths_are_taken_from_the_home_and_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "server"
    (source / "letta").mkdir(parents=True)
    (source / "letta" / "__init__.py").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    bundle = Authority(tmp_path).certificate
    settings = load({"sourceDirectory": "~/server", "caBundle": str(bundle)}, (), stack="dev")
    assert settings.source_directory == source.resolve()
    assert settings.ca_bundle == bundle
    with pytest.raises(SettingsError):
        load({"sourceDirectory": "server"}, (), stack="dev")  # there is none next to Pulumi.yaml


@pytest.mark.parametrize("key", ["caBundle", "telemetryCaBundle"])
def test_a_bundle_of_half_a_certificate_is_refused(tmp_path: Path, key: str) -> None:
    bundle = Authority(tmp_path).certificate
    bundle.write_text(bundle.read_text()[:200] + "\n-----END CERTIFICATE-----\n")

    assert "must be a file of certificates in PEM form" in refused(key, bundle).rule


def test_a_private_key_is_refused_as_a_bundle(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("clickhouse.example")
    bundle = tmp_path / "both.pem"
    bundle.write_text(issued.certificate.read_text() + issued.key.read_text())

    problem = refused("telemetryCaBundle", bundle)

    assert "it contains a private key" in problem.rule
    assert issued.key.read_text().splitlines()[1] not in str(problem)


def test_a_path_below_the_home_of_an_unknown_user_is_one_that_does_not_exist() -> None:
    problem = refused("sourceDirectory", Path("~nobody-of-this-name/letta"))
    assert problem.rule == "must be the path of a directory that exists"
