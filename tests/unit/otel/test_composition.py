"""The collector's configuration, as far as it can be judged without a collector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import otel
from otel.config_context import Reference
from otel.example import DESTINATIONS, example
from otel.profiles import Pipeline

pytestmark = pytest.mark.unit

GOLDEN = Path(otel.__file__).parent / "golden"
FILE_DEV = otel.PROFILES["file-dev"]
EVERYTHING = {"destinations": DESTINATIONS, "environment": "staging"}


def composed(name: str, **arguments: Any) -> dict[str, Any]:
    return otel.compose(otel.PROFILES[name], **{**EVERYTHING, **arguments})


def components_of(config: dict[str, Any]) -> set[str]:
    return {
        name for pipeline in config["service"]["pipelines"].values() for part in pipeline.values() for name in part
    }


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("profile", otel.PROFILES.values(), ids=lambda profile: profile.name)
def test_each_profile_renders_to_its_golden_file(profile: otel.Profile, version: str) -> None:
    golden = GOLDEN / f"{profile.name}-{version}.yaml"

    text = example(profile, version=version)

    assert text == golden.read_text(), "read the difference, then: python -m otel"


def test_there_is_no_golden_file_that_nothing_renders_to() -> None:
    expected = {f"{profile}-{version}.yaml" for profile in otel.PROFILES for version in otel.VERSIONS}

    assert {path.name for path in GOLDEN.iterdir()} == expected


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("name", otel.PROFILES)
def test_every_component_is_used_and_every_used_component_is_there(name: str, version: str) -> None:
    config = composed(name, version=version)

    kinds = ("receivers", "processors", "exporters", "connectors")
    there = {component for kind in kinds for component in config.get(kind, {})}
    assert there == components_of(config)
    assert config["service"]["extensions"] == list(config["extensions"])


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("name", otel.PROFILES)
def test_the_memory_limiter_is_the_first_processor_wherever_something_comes_in(name: str, version: str) -> None:
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


def test_the_seeds_memory_limits_come_out_of_a_container_large_enough_for_them() -> None:
    limiter = otel.compose(FILE_DEV, memory_mib=1366)["processors"]["memory_limiter"]

    assert (limiter["limit_mib"], limiter["spike_limit_mib"]) == (1024, 256)


def test_the_log_level_is_the_collectors_own() -> None:
    assert otel.compose(FILE_DEV, level="debug")["service"]["telemetry"]["logs"]["level"] == "debug"


def test_a_collector_before_the_readers_gets_an_address_and_no_key_it_does_not_know() -> None:
    config = otel.compose(FILE_DEV, version="0.96.0")

    assert config["service"]["telemetry"]["metrics"] == {"level": "normal", "address": "0.0.0.0:8888"}
    assert all("create_directory" not in exporter for exporter in config["exporters"].values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": "loud"}, "unknown log level 'loud': one of debug, info, warn, error"),
        ({"memory_mib": 64}, "a collector needs at least 96 MiB, not 64"),
        ({"version": "latest"}, "not a collector version: 'latest' (expected for instance 0.149.0)"),
        ({"version": "0.149"}, "not a collector version: '0.149' (expected for instance 0.149.0)"),
    ],
)
def test_what_cannot_work_is_refused_with_what_would(change: dict[str, Any], message: str) -> None:
    with pytest.raises(otel.ConfigurationError) as error:
        otel.compose(FILE_DEV, **change)

    assert str(error.value) == message


def test_a_profile_that_names_an_unknown_component_is_refused() -> None:
    pipeline = Pipeline(signal="traces", receivers=("otlp",), processors=("btach",), exporters=("file/traces",))

    with pytest.raises(otel.ConfigurationError, match=r"file-dev names unknown processors: btach \(known: memory"):
        otel.compose(replace(FILE_DEV, pipelines=(pipeline,)))


def test_two_pipelines_of_one_name_are_refused() -> None:
    with pytest.raises(otel.ConfigurationError, match="two pipelines of one name"):
        otel.compose(replace(FILE_DEV, pipelines=FILE_DEV.pipelines * 2))


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


def test_equal_arguments_give_equal_text() -> None:
    assert otel.render(otel.compose(FILE_DEV)) == otel.render(otel.compose(FILE_DEV))


@pytest.mark.parametrize(("older", "newer"), [("0.96.0", "0.149.0"), ("0.149.0", "0.149.1"), ("0.149.9", "1.0.0")])
def test_versions_are_ordered_by_number_not_by_text(older: str, newer: str) -> None:
    assert otel.CollectorVersion.parse(older) < otel.CollectorVersion.parse(newer)
    assert str(otel.CollectorVersion.parse(newer)) == newer
