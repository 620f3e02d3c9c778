"""The model, what Pulumi.yaml declares, the committed stack files and the documentation say the same."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import SECRET_KEYS, UNREADABLE, Settings, load, read_stack_file
from settings.raw_values import UNSET
from settings.schema import fields, kinds
from settings.values import PROJECT_ROOT

pytestmark = pytest.mark.unit

PROJECT: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
DECLARED: dict[str, dict[str, Any]] = {key: entry for key, entry in PROJECT["config"].items() if ":" not in key}
STACK_FILES = sorted(PROJECT_ROOT.glob("Pulumi.*.yaml"))
PLAIN_KEYS = sorted(set(fields()) - SECRET_KEYS)


def pulumi_type(key: str) -> str:
    """The Pulumi type that can hold a setting; it has none for fractions."""
    found = kinds(fields()[key].annotation)
    names = {dict: "object", bool: "boolean", int: "integer"}
    return next((name for kind, name in names.items() if kind in found), "string")


def test_the_project_declares_exactly_the_keys_of_the_model() -> None:
    assert set(DECLARED) == set(fields())


@pytest.mark.parametrize("key", sorted(fields()))
def test_every_key_is_described_alike_in_the_project_and_the_model(key: str) -> None:
    assert DECLARED[key]["description"]
    assert DECLARED[key]["description"] == fields()[key].description


@pytest.mark.parametrize("key", PLAIN_KEYS)
def test_a_plain_key_has_its_type_and_default_in_the_project(key: str) -> None:
    entry = DECLARED[key]
    default = fields()[key].get_default(call_default_factory=True)
    assert entry["type"] == pulumi_type(key)
    if default is None:
        default = UNSET
    elif pulumi_type(key) == "string":
        default = str(default)
    assert entry["default"] == default
    assert "secret" not in entry
    assert "value" not in entry


@pytest.mark.parametrize("key", sorted(SECRET_KEYS))
def test_a_secret_has_no_default_and_no_type_because_pulumi_would_demand_it(key: str) -> None:
    assert DECLARED[key].keys() == {"description", "secret", "value"}
    assert DECLARED[key]["secret"] is True
    assert DECLARED[key]["value"] == UNSET


def test_what_the_project_gives_when_nothing_is_set_are_the_model_s_defaults() -> None:
    given = {key: entry.get("default", entry.get("value")) for key, entry in DECLARED.items()}
    assert load(given, (), stack="dev") == Settings()
    texts = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in given.items()}
    assert load(texts, (), stack="dev") == Settings()


def test_everything_that_looks_like_a_secret_is_one() -> None:
    looks_secret = {key for key in fields() if key.endswith(("Key", "Password", "Token", "Secrets"))}
    assert looks_secret == set(SECRET_KEYS)


def test_no_stack_may_use_a_provider_that_the_program_did_not_write_down() -> None:
    assert PROJECT["config"]["pulumi:disable-default-providers"] == {"value": ["*"]}


def test_the_stacks_of_all_environments_are_committed() -> None:
    assert {path.name for path in STACK_FILES} >= {"Pulumi.dev.yaml", "Pulumi.staging.yaml", "Pulumi.prod.yaml"}


@pytest.mark.parametrize("path", STACK_FILES, ids=lambda path: path.name)
def test_a_committed_stack_file_loads(path: Path) -> None:
    stack = path.name.split(".")[1]
    stored = read_stack_file(path)
    values = stored.decrypted(lambda _: UNREADABLE)
    settings = load(values, stored.secret_keys, stack=stack, plain_parts=stored.plain_parts)
    assert settings.deployment_environment == stack
    assert settings.protect_data is (stack != "dev")


def test_production_has_a_server_to_spare() -> None:
    stored = read_stack_file(PROJECT_ROOT / "Pulumi.prod.yaml")
    settings = load(stored.config, (), stack="prod")
    assert settings.letta_replicas == 2
    assert settings.postgres_memory_mb > Settings().postgres_memory_mb


def test_nothing_else_reads_the_configuration_of_pulumi() -> None:
    readers = []
    for path in PROJECT_ROOT.rglob("*.py"):
        place = path.relative_to(PROJECT_ROOT)
        # What lies in images/ runs inside of them, and knows a Config of its own.
        if place.parts[0].startswith((".", "tests", "build", "images")) or place == Path("settings/loading.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            if name in {"Config", "get_config", "get_config_env"}:
                readers.append(f"{place}:{getattr(node, 'lineno', 0)}")
    assert readers == []
