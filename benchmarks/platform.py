"""The stack that is measured: deployed with `make up` in a clone of its own, beside whatever else there is."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import docker.errors

from benchmarks import processes
from benchmarks.processes import CommandFailedError
from testbed.checkout import clone
from testbed.deployment import STACK_LABEL, Deployment, Finished
from testbed.llm.server import LanguageModel
from testbed.ports import reserved
from toolchain.progress import Progress

LABEL = "letta-platform.benchmark"
"""On what a benchmark makes beside the stack; the value is the stack's name."""
PORTS = ("apiPort", "otlpGrpcPort", "otlpHttpPort", "collectorHealthPort", "collectorMetricsPort")
COMPOSE_PROJECT_LABEL = "com.docker.compose.project"
# What make tells the makes that it starts: ours is nobody's child. And a variable that few have set, but that lets
# Python compile everything at each start, which would be most of what is measured.
_NOT_OURS = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "STACK", "YES", "PYTHONDONTWRITEBYTECODE")


@dataclass(kw_only=True)
class BenchmarkStack(Deployment):
    """A stack whose commands end with this process."""

    @property
    def environment(self) -> dict[str, str]:
        """Give the environment of a person who has set nothing but where the state lies."""
        return {key: value for key, value in super().environment.items() if key not in _NOT_OURS}

    def run(
        self,
        *command: str,
        environment: dict[str, str] | None = None,
        given: str | None = None,
        check: bool = True,
        seconds: float = 1800,
    ) -> Finished:
        """Run a command in the clone; both of its streams are kept together.

        Raises:
            CommandFailedError: when it fails and `check` is set.
        """
        code, output = processes.run(
            list(command),
            directory=self.root,
            environment=environment or self.environment,
            given=given,
            seconds=seconds,
        )
        if check and code:
            raise CommandFailedError(f"{shlex.join(command)} ended with {code}:\n{output[-processes.SHOWN :]}")
        return Finished(code=code, output=output)


@dataclass(kw_only=True)
class Platform:
    """What sections measure. The stack is deployed when the first of them needs it."""

    stack: BenchmarkStack
    engine: docker.DockerClient
    progress: Progress
    folder: Path
    """For files of this run; removed at its end."""
    llm_url: str
    _is_up: bool = field(default=False)

    def up(self) -> BenchmarkStack:
        """Bring the stack up unless it is, and give it."""
        if not self._is_up:
            with self.progress.step(f"make up STACK={self.stack.stack}, in a clone"):
                self.stack.make("up")
            self._is_up = True
        return self.stack

    def down(self) -> None:
        """Destroy what is deployed; the stack itself, its images and its passwords' settings stay."""
        with self.progress.step("destroying the stack"):
            self.stack.pulumi("destroy", "--yes", "--skip-preview")
        self._is_up = False

    @cached_property
    def shell(self) -> dict[str, str]:
        """The environment in which plain `pulumi` works."""
        return self.stack.shell


@contextmanager
def prepared(progress: Progress, engine: docker.DockerClient) -> Iterator[Platform]:
    """Give a platform with a name, ports, folders and a model of its own; nothing of it is left afterwards."""
    stack = f"bench-{secrets.token_hex(3)}"
    with contextlib.ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=f"letta-platform-{stack}-")))
        held.callback(_remove_undisturbed, engine, stack, progress)
        model = held.enter_context(LanguageModel())
        ports = held.enter_context(reserved(len(PORTS)))
        (folder / "state").mkdir(mode=0o700)
        (folder / "checkout").mkdir()
        with progress.step("cloning the checkout, with an environment of its own"):
            deployment = BenchmarkStack(
                root=clone(folder / "checkout"), stack=stack, state=folder / "state", engine=engine
            )
            llm_url = model.url(_host_address(engine))
            deployment.set(**dict(zip(PORTS, ports, strict=True)), openaiBaseUrl=llm_url)
            deployment.make("toolchain")
            deployment.pulumi("stack", "init")
            deployment.set_secret("openaiApiKey", secrets.token_hex(16))
        yield Platform(stack=deployment, engine=engine, progress=progress, folder=folder, llm_url=llm_url)


def _host_address(engine: docker.DockerClient) -> str:
    """Give the address by which containers reach this machine: the host, as the default bridge knows it."""
    pool = engine.networks.get("bridge").attrs["IPAM"]["Config"][0]
    # An engine that found its bridge made already does not name the address; it is the first one then.
    return str(pool.get("Gateway") or next(ipaddress.ip_network(pool["Subnet"]).hosts()))


def _remove_undisturbed(engine: docker.DockerClient, stack: str, progress: Progress) -> None:
    with processes.undisturbed(), progress.step(f"removing what is left of {stack}"):
        remove(engine, stack)


def remove(engine: docker.DockerClient, stack: str) -> None:
    """Remove everything on the engine that carries this run's labels, and nothing else."""
    labels = (f"{STACK_LABEL}={stack}", f"{LABEL}={stack}", f"{COMPOSE_PROJECT_LABEL}={stack}")
    filters: list[Any] = [{"label": label} for label in labels]
    for one in filters:
        for container in engine.containers.list(all=True, filters=one, ignore_removed=True):
            with contextlib.suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
    for one in filters:
        for network in engine.networks.list(filters=one):
            with contextlib.suppress(docker.errors.NotFound):
                network.remove()
        for volume in engine.volumes.list(filters=one):
            with contextlib.suppress(docker.errors.NotFound):
                volume.remove(force=True)
    for image in engine.images.list(filters={"label": f"{LABEL}={stack}"}):
        engine.images.remove(str(image.id), force=True)
