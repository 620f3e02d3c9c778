"""The Go sources of each collector version must build what its configurations name."""

from __future__ import annotations

import re

import pytest
import yaml

import otel
from operations.stack.known_errors import fixes
from otel.example import example
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

SOURCES = ROOT / "images" / "collector" / "distribution"
SUFFIX = {
    "receivers": "receiver",
    "processors": "processor",
    "exporters": "exporter",
    "connectors": "connector",
    "extensions": "extension",
}


# The check of clients' tokens is for receivers that are published beyond the host. Upstream's original
# configuration names pprof and zpages, and is run unchanged with its own version.
OTHERS = {
    "0.149.0": {"bearertokenauthextension"},
    "0.96.0": {"bearertokenauthextension", "pprofextension", "zpagesextension"},
}


def compiled_in(version: str) -> set[str]:
    return set(re.findall(r"(\w+)\.NewFactory\(\),", (SOURCES / version / "components.go").read_text()))


def package(kind: str, component: str) -> str:
    name = component.split("/", maxsplit=1)[0].replace("_", "")
    return "filestorage" if name == "filestorage" else f"{name}{SUFFIX[kind]}"


def named_by_profiles(version: str) -> set[str]:
    named = set()
    for profile in otel.PROFILES.values():
        config = yaml.safe_load(example(profile, version=version))
        named |= {package(kind, component) for kind in SUFFIX for component in config.get(kind, {})}
    return named


@pytest.mark.parametrize("version", otel.VERSIONS)
def test_everything_that_a_profile_names_is_compiled_and_nothing_else(version: str) -> None:
    assert compiled_in(version) == named_by_profiles(version) | OTHERS[version]


@pytest.mark.parametrize("version", otel.VERSIONS)
def test_the_modules_are_of_the_version_and_summed(version: str) -> None:
    modules = (SOURCES / version / "go.mod").read_text()

    assert f"\tgo.opentelemetry.io/collector/otelcol v{version}\n" in modules
    assert f"go.opentelemetry.io/collector/otelcol v{version} h1:" in (SOURCES / version / "go.sum").read_text()


def test_there_are_sources_for_the_versions_that_can_be_chosen_and_the_default_is_built() -> None:
    assert {path.parent.name for path in SOURCES.glob("*/go.mod")} == set(otel.VERSIONS)
    assert f"ARG COLLECTOR_VERSION={otel.DEFAULT_VERSION}\n" in (SOURCES.parent / "Dockerfile").read_text()


def test_what_to_do_about_a_refused_queue_is_known() -> None:
    refusal = (SOURCES / "0.96.0" / "downgrade" / "downgrade.go").read_text()

    assert "pulumi config rm collectorVersion --stack dev" in " ".join(fixes(refusal, "dev"))
