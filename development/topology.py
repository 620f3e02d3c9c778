"""Reads the architecture out of the program: which networks, published ports and volumes each service has.

The program runs under mocks, with the settings of a fresh dev stack: a developer's own ports must not make a
picture stale. Needs no engine and no Pulumi CLI.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catalogue
from operations.stack.state import CONTAINER, VOLUME, is_secret
from toolchain.locations import ROOT

STACK = "dev"

NETWORK = "docker:index/network:Network"

Resource = tuple[str, str, dict[str, Any]]
"""Type, name and inputs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """A published port."""

    address: str
    external: int
    internal: int

    @property
    def mapping(self) -> str:
        """The port outside and inside of the container, once when they are the same."""
        return str(self.external) if self.external == self.internal else f"{self.external} → {self.internal}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A container that runs, or a job."""

    name: str
    is_job: bool
    user: str
    memory_mb: int
    tiers: tuple[str, ...]
    """Its networks; it is drawn in the first one."""
    ports: tuple[Port, ...]
    volumes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Its name, marked when it is a job."""
        return f"{self.name} (job)" if self.is_job else self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Topology:
    """What the program registers, as far as it is drawn."""

    tiers: Mapping[str, bool]
    """Name of a network → whether it is internal: its members do not reach the outside through it."""
    services: tuple[Service, ...]
    volumes: Mapping[str, bool]
    """Name of a volume → whether it holds data that cannot be recreated. Without file bundles."""


def _program() -> None:
    from components.platform import Platform, PlatformArgs
    from settings import load

    Platform(f"letta-{STACK}", PlatformArgs(stack=STACK, settings=load({}, (), stack=STACK)))


def registered() -> list[Resource]:
    """Run the program under mocks, and return what it registers, in order of type and name."""
    # A thread with its own context and event loop: Pulumi keeps its connection in both, and the caller's are kept.
    with ThreadPoolExecutor(max_workers=1) as pool:
        found = pool.submit(contextvars.copy_context().run, _record).result()
    return sorted(found, key=lambda one: one[:2])


def _record() -> list[Resource]:
    import pulumi
    from pulumi.runtime import mocks, settings

    found: list[Resource] = []

    class Recording(mocks.Mocks):
        def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
            found.append((args.typ, args.name, dict(args.inputs)))
            return f"{args.name}-id", {"name": args.name, "result": "generated", **args.inputs}

        def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
            raise AssertionError(f"unexpected provider call {args.token}")

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        mocks.set_mocks(Recording(), project="letta", stack=STACK, preview=False)
        run: Callable[[], None] = pulumi.runtime.test(_program)  # type: ignore[no-untyped-call]
        with tempfile.TemporaryDirectory(prefix="letta-platform-docs-") as folder:
            # The program's folders are relative to where it runs, and it writes files there that a real update in
            # this checkout may be using.
            (Path(folder) / "images").symlink_to(ROOT / "images")
            with contextlib.chdir(folder):
                run()
    finally:
        settings.reset_options()
        loop.close()
        asyncio.set_event_loop(None)
    return found


def _short(name: object) -> str:
    return str(name).removeprefix(f"letta-{STACK}-")


def _plain(value: Any) -> Any:
    """Return a value without the envelope of a secret."""
    return value["value"] if is_secret(value) else value


def _label(inputs: Mapping[str, Any]) -> str:
    labels = {one["label"]: one["value"] for one in _plain(inputs.get("labels")) or []}
    return str(labels.get(catalogue.SERVICE_LABEL, ""))


def topology(resources: list[Resource]) -> Topology:
    """Return what is drawn of registered resources."""
    volumes = {
        _short(inputs.get("name") or name): _label(inputs) == catalogue.DATA_SERVICE
        for kind, name, inputs in resources
        if kind == VOLUME and not _label(inputs).endswith(catalogue.FILES_SUFFIX)
    }
    return Topology(
        tiers={_short(name): bool(inputs.get("internal")) for kind, name, inputs in resources if kind == NETWORK},
        services=tuple(
            _service(name, inputs, volumes)
            for kind, name, inputs in resources
            # The holders of file bundles never start.
            if kind == CONTAINER and inputs.get("start") is not False
        ),
        volumes=volumes,
    )


def _service(name: str, inputs: Mapping[str, Any], volumes: Mapping[str, bool]) -> Service:
    mounted = (_short(one.get("volumeName")) for one in inputs.get("volumes") or [])
    return Service(
        name=_short(name),
        is_job=inputs.get("restart") == "no",
        user=str(inputs["user"]).partition(":")[0],
        memory_mb=int(inputs["memory"]),
        tiers=tuple(_short(one["name"]) for one in inputs.get("networksAdvanced") or []),
        ports=tuple(
            Port(address=one["ip"], external=int(one["external"]), internal=int(one["internal"]))
            for one in inputs.get("ports") or []
        ),
        volumes=tuple(volume for volume in mounted if volume in volumes),
    )
