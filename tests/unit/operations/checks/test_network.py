"""What the doctor finds on the network to the package registries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from operations.checks import network
from operations.checks.network import Registry, RegistryProbe, Trust
from operations.checks.result import CheckState

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _runner(**answers: str) -> network.Run:
    def run(command: Sequence[str]) -> str:
        return next((text for words, text in answers.items() if words.replace("_", " ") in " ".join(command)), "")

    return run


def test_the_index_comes_from_variables_then_pips_files_then_pips_own_default() -> None:
    given = {"PIP_INDEX_URL": "https://a.example/simple"}
    run = _runner(
        config_list="global.index-url='https://b.example/simple'\n", install="(default https://c.example/s)"
    )
    assert network.python_index(given, run) == "https://a.example/simple"
    assert network.python_index({}, run) == "https://b.example/simple"
    helped = _runner(install="Base URL (default\n https://c.example/s). This")
    assert network.python_index({}, helped) == "https://c.example/s"
    assert network.python_index({}, _runner()) == ""


def test_registries_are_those_of_pip_go_and_the_engine_each_host_once() -> None:
    run = _runner(
        GOPROXY="https://m.example/go,https://p.example|direct", config_list="global.index-url=https://m.example/x"
    )
    found = network.registries({}, ["r.example"], run)
    assert [(one.client, one.host) for one in found] == [
        ("pip", "m.example"),
        ("go", "p.example"),
        ("docker", "r.example"),
    ]


def _probe(host: str, *, resolves: bool = True, trust: Trust = Trust.PUBLIC) -> RegistryProbe:
    return RegistryProbe(
        registry=Registry(client="pip", url=f"https://{host}/"), resolves=resolves, trust=trust, date=NOW
    )


def test_names_that_do_not_resolve_are_broken_only_when_none_does() -> None:
    lost, found = _probe("lost", resolves=False), _probe("found")
    assert network.dns_check([lost], by_proxy=False).state is CheckState.BROKEN
    assert network.dns_check([lost, found], by_proxy=False).state is CheckState.NOTE
    assert network.dns_check([found], by_proxy=False).state is CheckState.OK
    assert network.dns_check([lost], by_proxy=True).state is CheckState.OK
    assert network.dns_check([], by_proxy=False).state is CheckState.UNKNOWN


def test_interception_is_noted_until_the_builds_are_given_the_certificates() -> None:
    probes = [_probe("intercepted", trust=Trust.INTERCEPTED)]
    noted = network.tls_check(probes, ca_bundle=None, environment={"SSL_CERT_FILE": "/etc/ca.pem"})
    assert noted.state is CheckState.NOTE
    assert noted.fix == ("`pulumi config set caBundle /etc/ca.pem`",)
    assert network.tls_check(probes, ca_bundle=Path("/ca.pem"), environment={}).state is CheckState.OK
    found = network.tls_check(probes, ca_bundle=None, environment={"LETTA_CA_BUNDLE": "/found.pem"})
    assert found.state is CheckState.OK
    assert "/found.pem" in found.detail


def test_an_untrusted_certificate_is_broken_and_no_answer_is_unknown() -> None:
    untrusted, silent = _probe("a", trust=Trust.UNTRUSTED), _probe("b", trust=Trust.UNREACHABLE)
    assert network.tls_check([untrusted], ca_bundle=None, environment={}).state is CheckState.BROKEN
    assert network.tls_check([silent], ca_bundle=None, environment={}).state is CheckState.UNKNOWN
    assert network.tls_check([_probe("c")], ca_bundle=None, environment={}).state is CheckState.OK
