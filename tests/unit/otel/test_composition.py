"""Composing and rendering, as far as they can be tested without a collector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import otel
from otel.config_context import Reference
from otel.example import example
from otel.profiles import Pipeline
from tests.unit.otel.composed import composed

pytestmark = pytest.mark.unit

GOLDEN = Path(otel.__file__).parent / "golden"
FILE_DEV = otel.PROFILES["file-dev"]


def components_of(config: dict[str, Any]) -> set[str]:
    return {
        name for pipeline in config["service"]["pipelines"].values() for part in pipeline.values() for name in part
    }


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("profile", otel.PROFILES.values(), ids=lambda profile: profile.name)
def test_each_profile_renders_to_its_golden_file(profile: otel.Profile, version: str) -> None:
    golden = GOLDEN / f"{profile.name}-{version}.yaml"

    text = example(profile, version=version)

    assert text == golden.read_text(), "read the difference, then run: python -m otel"


def test_every_golden_file_belongs_to_a_profile_and_version() -> None:
    expected = {f"{profile}-{version}.yaml" for profile in otel.PROFILES for version in otel.VERSIONS}

    assert {path.name for path in GOLDEN.iterdir()} == expected


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("name", otel.PROFILES)
def test_every_component_is_used_and_every_used_component_is_configured(name: str, version: str) -> None:
    config = composed(name, version=version)

    kinds = ("receivers", "processors", "exporters", "connectors")
    there = {component for kind in kinds for component in config.get(kind, {})}
    assert there == components_of(config)
    assert config["service"]["extensions"] == list(config["extensions"])


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("name", otel.PROFILES)
def test_the_memory_limiter_is_the_first_processor_after_every_receiver(name: str, version: str) -> None:
    config = composed(name, version=version)

    first = {
        pipeline["processors"][0]
        for pipeline in config["service"]["pipelines"].values()
        if set(pipeline["receivers"]) & set(config["receivers"])
    }
    assert first == {"memory_limiter"}


@pytest.mark.parametrize("memory_mib", [96, 256, 1365, 4096])
def test_the_memory_limits_are_in_order_below_the_containers(memory_mib: int) -> None:
    limiter = otel.compose(FILE_DEV, memory_mib=memory_mib)["processors"]["memory_limiter"]
    go_limit = int(otel.go_memory_limit(memory_mib).removesuffix("MiB"))

    assert 0 < limiter["spike_limit_mib"] < limiter["limit_mib"] < go_limit < memory_mib


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": "loud"}, "unknown log level 'loud': one of debug, info, warn, error"),
        ({"memory_mib": 64}, "a collector needs at least 96 MiB, not 64"),
        ({"version": "latest"}, "not a collector version: 'latest' (expected the form 0.149.0)"),
        ({"version": "0.149"}, "not a collector version: '0.149' (expected the form 0.149.0)"),
    ],
)
def test_invalid_arguments_are_refused_with_the_valid_ones(change: dict[str, Any], message: str) -> None:
    with pytest.raises(otel.ConfigurationError) as error:
        otel.compose(FILE_DEV, **change)

    assert str(error.value) == message


def test_a_profile_that_names_an_unknown_component_is_refused() -> None:
    pipeline = Pipeline(signal="traces", receivers=("otlp",), processors=("btach",), exporters=("file/traces",))

    with pytest.raises(otel.ConfigurationError, match=r"file-dev names unknown processors: btach \(known: memory"):
        otel.compose(replace(FILE_DEV, pipelines=(pipeline,)))


def test_two_pipelines_of_the_same_name_are_refused() -> None:
    with pytest.raises(otel.ConfigurationError, match="two pipelines of the same name"):
        otel.compose(replace(FILE_DEV, pipelines=FILE_DEV.pipelines * 2))


def test_queues_that_exceed_the_disk_budget_are_refused() -> None:
    with pytest.raises(otel.ConfigurationError, match=r"need 7560000000 bytes of disk for 1800 s at 1000 spans/s"):
        composed("clickhouse-prod", queue_budget=otel.QueueBudget(outage_seconds=1800))


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("name", otel.PROFILES)
def test_secrets_are_references_to_exactly_the_files_that_the_profile_names(name: str, version: str) -> None:
    text = otel.render(composed(name, version=version))

    named = {
        f"${{file:{otel.CONTAINER.secrets_directory}/{secret}}}"
        for secret in otel.secret_names(otel.PROFILES[name])
    }
    assert {line.split(": ", 1)[1] for line in text.splitlines() if "${file:" in line} == named


def test_a_literal_dollar_is_doubled_and_a_reference_left_for_the_collector() -> None:
    text = otel.render(
        {"a$": "p${HOME}$$", "list": ["$x", 1, None], "secret": Reference("${file:/run/secrets/K}")}
    )

    assert yaml.safe_load(text) == {
        "a$$": "p$${HOME}$$$$",
        "list": ["$$x", 1, None],
        "secret": "${file:/run/secrets/K}",
    }


def test_text_that_looks_like_another_type_stays_text() -> None:
    values = {"digits": "0123", "yes": "yes", "exponent": "1e5", "address": "0.0.0.0:4317", "empty": ""}

    assert yaml.safe_load(otel.render(values)) == values


def test_equal_arguments_return_equal_text() -> None:
    assert otel.render(otel.compose(FILE_DEV)) == otel.render(otel.compose(FILE_DEV))
