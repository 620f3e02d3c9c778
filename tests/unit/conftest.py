"""Runs Pulumi programs under mocks and returns what they registered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
import pytest
import yaml
from pulumi.runtime import settings as runtime_settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks, set_mocks

from testbed.certificates import Authority
from toolchain.locations import ROOT

if TYPE_CHECKING:
    from runtime import RuntimeArgs
    from testbed.memory_runtime import MemoryRuntime

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource, as the program registered it with Pulumi's engine."""

    typ: str
    name: str
    inputs: dict[str, Any]
    urn: str
    request: Any
    """The `RegisterResourceRequest`, which holds the options."""

    @property
    def parent(self) -> str:
        """Logical name of the resource that it is a child of; empty for none but the stack."""
        return _name(self.request.parent)

    @property
    def aliases(self) -> tuple[str, ...]:
        """The aliases that it was registered with: `parent=letta-dev`."""
        return tuple(
            one.urn
            or " ".join(
                f"{field.name}={_name(value) if field.name == 'parentUrn' else value}"
                for field, value in one.spec.ListFields()
            )
            for one in self.request.aliases
        ) + tuple(self.request.aliasURNs)

    @property
    def identity(self) -> str:
        """What Pulumi knows it by, in a line: another line is another resource, unless an alias leads to it."""
        # The stack and the project are the same for all.
        line = f"{self.urn.split('::', 2)[2]} parent={self.parent or '-'}"
        return "".join([line, *(f" alias({alias})" for alias in self.aliases)])

    def value(self, key: str) -> Any:
        """Return an input, whether or not it is a secret."""
        return unwrap(self.inputs.get(key))

    def is_secret(self, key: str) -> bool:
        given = self.inputs.get(key)
        return isinstance(given, dict) and given.get(SIGNATURE) == SECRET


def unwrap(value: Any) -> Any:
    """Return the value without envelopes of secrets, at any depth."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return unwrap(value["value"])
        return {key: unwrap(one) for key, one in value.items()}
    if isinstance(value, list):
        return [unwrap(one) for one in value]
    return value


def _name(urn: str) -> str:
    """Return the logical name in a URN; empty for the stack's."""
    return "" if "::pulumi:pulumi:Stack::" in urn else urn.rpartition("::")[2]


class _Monitor(MockMonitor):
    """Keeps the requests, and makes URNs as the engine does (the mock's own forget grandparents)."""

    def __init__(self, mocks: Mocks) -> None:
        super().__init__(mocks)
        self.requests: dict[tuple[str, str], tuple[str, Any]] = {}

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        qualified = parent.split("::")[2] if parent else ""
        chain = f"{qualified}$" if qualified not in {"", "pulumi:pulumi:Stack"} else ""
        return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{chain}{type_}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the name in the SDK
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        self.requests[request.type, request.name] = (answer.urn, request)
        return answer


class _Recorder(Mocks):
    def __init__(self) -> None:
        self.inputs: dict[tuple[str, str], dict[str, Any]] = {}

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.inputs[args.typ, args.name] = dict(args.inputs)
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
    """Return a function that runs a program under mocks, drains it, and returns what it registered."""
    monkeypatch.setenv("PULUMI_ERROR_OUTPUT_STRING", "1")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    def run(program: Callable[[], object], *, stack: str = "dev") -> list[Registered]:
        recorder = _Recorder()
        monitor = _Monitor(recorder)
        set_mocks(recorder, project="letta", stack=stack, preview=False, monitor=monitor)

        @pulumi.runtime.test
        def body() -> None:
            program()

        body()
        seen = []
        for (typ, name), inputs in recorder.inputs.items():
            urn, request = monitor.requests[typ, name]
            seen.append(Registered(typ=typ, name=name, inputs=inputs, urn=urn, request=request))
        return seen

    yield run
    set_all_config({}, [])
    runtime_settings.reset_options()
    loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture
def _program_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run programs in a folder of their own, because they write there what builds need."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "images").symlink_to(ROOT / "images")
    monkeypatch.chdir(folder)


def compose(stack: str, secret: tuple[str, ...], settings: Mapping[str, object], **args: Any) -> None:
    """Run the program of a stack, with settings on top of its committed file."""
    from components.platform import Platform, PlatformArgs  # here, because not every run of tests needs it
    from settings import load

    committed = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text()) or {}
    loaded = load({**(committed.get("config") or {}), **settings}, secret, stack=stack)
    Platform(f"letta-{stack}", PlatformArgs(stack=stack, settings=loaded, **args))


Program = Callable[..., list[Registered]]
Described = Callable[..., "MemoryRuntime"]


@pytest.fixture(scope="session")
def rendered() -> dict[str, Any]:
    """Keep what programs registered by what they were run with: most tests look at the same few stacks."""
    return {}


@pytest.fixture
def platform(deploy: Deploy, rendered: dict[str, Any], _program_folder: None) -> Program:
    """Return a function that runs the program of a stack, and what it registered for a Docker engine."""

    def run(stack: str = "dev", secret: tuple[str, ...] = (), **settings: object) -> list[Registered]:
        asked = json.dumps(["engine", stack, secret, settings], sort_keys=True)
        if asked not in rendered:
            rendered[asked] = deploy(lambda: compose(stack, secret, settings), stack=stack)
        found: list[Registered] = rendered[asked]
        return found

    return run


@pytest.fixture
def described(deploy: Deploy, rendered: dict[str, Any], _program_folder: None) -> Described:
    """Return a function that runs the program of a stack, and what it asked of its runtime."""
    from testbed.memory_runtime import MemoryRuntime

    def run(stack: str = "dev", secret: tuple[str, ...] = (), **settings: object) -> MemoryRuntime:
        asked = json.dumps(["memory", stack, secret, settings], sort_keys=True)
        if asked not in rendered:
            made: list[MemoryRuntime] = []

            def create(args: RuntimeArgs) -> MemoryRuntime:
                made.append(MemoryRuntime(args))
                return made[-1]

            deploy(lambda: compose(stack, secret, settings, runtime=create), stack=stack)
            asyncio.get_event_loop().run_until_complete(made[0].resolve())
            rendered[asked] = made[0]
        found: MemoryRuntime = rendered[asked]
        return found

    return run


@pytest.fixture(scope="session", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one CA instead of a machine's hundreds, which every single HTTP client reads again."""
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
