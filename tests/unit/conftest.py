"""Runs Pulumi programs under mocks and gives what they registered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime import settings as runtime_settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks, set_mocks

from testbed.certificates import Authority
from toolchain.locations import ROOT

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource as the engine was told of it."""

    typ: str
    name: str
    inputs: dict[str, Any]

    def value(self, key: str) -> Any:
        """Give an input, whether or not it is a secret."""
        return unwrap(self.inputs.get(key))

    def is_secret(self, key: str) -> bool:
        given = self.inputs.get(key)
        return isinstance(given, dict) and given.get(SIGNATURE) == SECRET


def unwrap(value: Any) -> Any:
    """Take secret envelopes off, all the way down."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return unwrap(value["value"])
        return {key: unwrap(one) for key, one in value.items()}
    if isinstance(value, list):
        return [unwrap(one) for one in value]
    return value


class _Recorder(Mocks):
    def __init__(self) -> None:
        self.seen: list[Registered] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.seen.append(Registered(typ=args.typ, name=args.name, inputs=dict(args.inputs)))
        computed: dict[str, Any] = {}
        if args.typ.endswith("RandomPassword"):
            computed = {"result": f"generated-{args.name}"}
        elif args.typ.endswith("RandomUuid"):
            computed = {"result": "00000000-0000-4000-8000-000000000000"}
        return f"{args.name}-id", {"name": args.name, **args.inputs, **computed}

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"unexpected provider call {args.token}")


Deploy = Callable[..., list[Registered]]


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deploy]:
    """Give a function that runs a program under mocks, drains it, and returns what it registered."""
    monkeypatch.setenv("PULUMI_ERROR_OUTPUT_STRING", "1")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    def run(program: Callable[[], object], *, stack: str = "dev") -> list[Registered]:
        recorder = _Recorder()
        set_mocks(recorder, project="letta", stack=stack, preview=False)

        @pulumi.runtime.test
        def body() -> None:
            program()

        body()
        return recorder.seen

    yield run
    set_all_config({}, [])
    runtime_settings.reset_options()
    loop.close()
    asyncio.set_event_loop(None)


Program = Callable[..., list[Registered]]
Rendered = dict[str, list[Registered]]


@pytest.fixture(scope="session")
def rendered() -> Rendered:
    """Keep what the program registered by what it was run with: most tests look at the same few stacks."""
    return {}


@pytest.fixture
def platform(
    deploy: Deploy, rendered: Rendered, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Program:
    """Give a function that runs the program of a stack, with settings on top of its committed file."""
    from components.platform import Platform, PlatformArgs  # here, because not every run of tests needs it
    from settings import load

    # In a folder of its own, because the program writes there what builds need.
    folder = tmp_path_factory.mktemp("program")
    (folder / "images").symlink_to(ROOT / "images")
    monkeypatch.chdir(folder)

    def run(stack: str = "dev", secret: tuple[str, ...] = (), **settings: object) -> list[Registered]:
        committed = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text()) or {}
        raw = {**(committed.get("config") or {}), **settings}

        def program() -> None:
            loaded = load(raw, secret, stack=stack)
            Platform(f"letta-{stack}", PlatformArgs(stack=stack, settings=loaded))

        asked = json.dumps([stack, secret, settings], sort_keys=True)
        if asked not in rendered:
            rendered[asked] = deploy(program, stack=stack)
        return rendered[asked]

    return run


@pytest.fixture(scope="session", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one authority instead of a machine's hundreds, which every single HTTP client reads anew."""
    folder = tmp_path_factory.mktemp("authorities")
    trusted = str(Authority(folder).certificate)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", trusted)
        patched.setenv("SSL_CERT_DIR", str(folder))
        patched.setenv("REQUESTS_CA_BUNDLE", trusted)
        yield


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep state and caches out of this machine's folders."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LETTA_CACHE_HOME", str(tmp_path / "cache"))
