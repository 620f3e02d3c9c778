"""Which CA bundle image builds get."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolchain import network

pytestmark = pytest.mark.unit


def test_a_usual_network_needs_no_ca_bundle(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.touch()
    (tmp_path / "local").mkdir()
    assert network.ca_bundle({}, system_bundle=bundle, local_certificates=tmp_path / "local") is None


def test_the_systems_bundle_is_used_where_certificates_were_added_to_it(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.touch()
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "company.crt").touch()
    assert network.ca_bundle({}, system_bundle=bundle, local_certificates=tmp_path / "local") == bundle


def test_a_bundle_that_a_variable_names_takes_precedence(tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.touch()
    environ = {"SSL_CERT_FILE": str(tmp_path / "gone.pem"), "REQUESTS_CA_BUNDLE": str(own)}
    assert network.ca_bundle(environ) == own
