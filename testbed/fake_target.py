"""Stand-ins for a stack to operate on: its Pulumi CLI, its engine, its state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import catalogue
from operations.stack.checkout import Checkout
from operations.stack.pulumi_cli import PulumiCli
from operations.stack.state import CONTAINER, StackState
from operations.stack.target import Target
from testbed.fake_engine import FakeEngine


class FakePulumi:
    """Records its commands, and runs what a test sets for one of them in `on`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.on: dict[str, Callable[[], None]] = {}
        self.environment: dict[str, str] = {"NO_COLOR": "1"}

    def _do(self, arguments: tuple[str, ...]) -> None:
        self.asked.append(arguments)
        self.on.get(arguments[0], lambda: None)()

    def answer(self, *arguments: str) -> str:
        self._do(arguments)
        return ""

    def stream(self, *arguments: str, omit: tuple[str, ...] = (), log: Any = None) -> None:  # noqa: ARG002
        self._do(arguments)

    def interactive(self, *arguments: str) -> None:
        self._do(("interactive", *arguments))

    @property
    def verbs(self) -> list[str]:
        return [" ".join(word for word in one[:2] if not word.startswith("-")) for one in self.asked]


class FakeTarget(Target):
    """A target with a fake CLI, a fake engine and a given state."""

    def __init__(
        self,
        folder: Path,
        *,
        state: StackState | None = None,
        engine: FakeEngine | None = None,
        stack_file: str = "",
    ) -> None:
        (folder / "Pulumi.yaml").write_text("name: letta\n")
        (folder / "Pulumi.dev.yaml").write_text(stack_file)
        super().__init__(stack="dev", environment={}, checkout=Checkout(folder))
        object.__setattr__(self, "cli", FakePulumi())
        object.__setattr__(self, "fake_engine", engine or FakeEngine())
        object.__setattr__(self, "known", state)

    cli: FakePulumi
    fake_engine: FakeEngine
    known: StackState | None

    def pulumi(self) -> PulumiCli:
        return self.cli  # type: ignore[return-value]

    def engine(self) -> FakeEngine:
        return self.fake_engine

    def exists(self) -> bool:
        return self.known is not None

    def state(self) -> StackState:
        return self.known or StackState({})


def resource(kind: str, name: str, **more: object) -> dict[str, object]:
    return {"urn": f"urn:pulumi:dev::letta::{kind}::{name}", "type": kind, "custom": True, "id": name, **more}


def service_resource(name: str, *, networks: tuple[str, ...] = (), **more: object) -> dict[str, object]:
    """Return a service's container as it stands in a state; `fake_engine.container` of that name is the one."""
    inputs = {
        "restart": "unless-stopped",
        "networksAdvanced": [{"name": one} for one in networks],
        "labels": [{"label": catalogue.SERVICE_LABEL, "value": name}],
    }
    return resource(CONTAINER, name, **{"id": f"id-{name}", "inputs": inputs, "outputs": {"name": name}, **more})


def state_of(*resources: dict[str, object], pending: tuple[str, ...] = ()) -> StackState:
    operations = [
        {"type": "creating", "resource": resource(CONTAINER, name, inputs={"name": name})} for name in pending
    ]
    return StackState({"resources": list(resources), "pending_operations": operations})
