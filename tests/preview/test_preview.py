"""The real Pulumi CLI with the real plugins, on a throw-away file backend: previews, and what they refuse."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.preview.conftest import Pulumi

pytestmark = pytest.mark.preview


def initialised(pulumi: Pulumi, checkout: Path) -> str:
    """Create a stack without settings; no other has its name, so no volume of it can exist."""
    name = f"preview-{secrets.token_hex(3)}"
    made = pulumi("stack", "init", name)
    assert made.returncode == 0, made.stdout
    assert (checkout / f"Pulumi.{name}.yaml").exists()
    return name


@pytest.fixture(scope="module")
def previewed(pulumi: Pulumi, checkout: Path) -> str:
    return initialised(pulumi, checkout)


@pytest.fixture(scope="module")
def refused(pulumi: Pulumi, checkout: Path) -> str:
    return initialised(pulumi, checkout)


@pytest.fixture
def stack(previewed: str, checkout: Path) -> Iterator[str]:
    """Return a stack without settings that is only ever previewed, so that nothing of it exists."""
    with kept(checkout / f"Pulumi.{previewed}.yaml"):
        yield previewed


@pytest.fixture
def refused_stack(refused: str, checkout: Path) -> Iterator[str]:
    """Return a stack without settings whose updates are all refused."""
    with kept(checkout / f"Pulumi.{refused}.yaml"):
        yield refused


@contextmanager
def kept(file: Path) -> Iterator[None]:
    """Restore a stack file afterwards."""
    text = file.read_text()
    yield
    file.write_text(text)


def test_a_stack_without_any_setting_can_be_previewed(pulumi: Pulumi, stack: str) -> None:
    shown = pulumi("preview", "--stack", stack)
    assert shown.returncode == 0, shown.stdout
    assert f"letta-{stack}-server" in shown.stdout


@pytest.mark.parametrize("committed", ["staging", "prod"])
def test_committed_stacks_can_be_previewed(pulumi: Pulumi, stack: str, checkout: Path, committed: str) -> None:
    # Under another name, because a stack of that name may really run on this machine.
    own = checkout / f"Pulumi.{stack}.yaml"
    own.write_text((checkout / f"Pulumi.{committed}.yaml").read_text() + own.read_text())
    shown = pulumi("preview", "--stack", stack, "--json")
    assert shown.returncode == 0, shown.stdout
    steps = json.loads(shown.stdout[shown.stdout.index("{") :])["steps"]
    assert {step["op"] for step in steps} == {"create"}
    providers = [step["urn"] for step in steps if "pulumi:providers:" in step["urn"]]
    assert sorted(urn.rpartition("::")[2] for urn in providers) == ["engine", "random"], "no default providers"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"apiPort": "70000"}, "letta:apiPort"),
        ({"apiPort": "four"}, "apiPort"),
        ({"apiprt": "8283"}, "letta:apiPort"),
        ({"leta:apiPort": "8283"}, "leta"),
        ({"openaiApiKey": "sk-this-is-not-encrypted"}, "--secret"),
        ({"apiPort": "4317"}, "letta:otlpGrpcPort"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_created(
    pulumi: Pulumi, refused_stack: str, settings: dict[str, str], message: str
) -> None:
    stack = refused_stack
    for key, value in settings.items():
        full = key if ":" in key else f"letta:{key}"
        assert pulumi("config", "set", full, value, "--plaintext", "--stack", stack).returncode == 0
    done = pulumi("up", "--yes", "--skip-preview", "--stack", stack)
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout
    assert "sk-this-is-not-encrypted" not in done.stdout
    exported = json.loads(pulumi("stack", "export", "--stack", stack).stdout)
    kinds = {resource["type"] for resource in exported["deployment"].get("resources") or []}
    assert kinds <= {"pulumi:pulumi:Stack"}


def test_secrets_are_not_shown_by_a_preview(pulumi: Pulumi, stack: str) -> None:
    canary = f"canary{secrets.token_hex(20)}"
    for key in ("openaiApiKey", "serverPassword", "encryptionKey"):
        done = pulumi("config", "set", "--secret", f"letta:{key}", "--stack", stack, given=canary)
        assert done.returncode == 0, done.stdout
    for shape in (("--diff",), ("--json",), ()):
        shown = pulumi("preview", "--stack", stack, *shape)
        assert shown.returncode == 0, shown.stdout
        assert canary not in shown.stdout
