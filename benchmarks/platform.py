"""The stack that is measured: deployed with `make up` in a clone of its own, apart from any other stack."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import docker

from benchmarks import processes
from catalogue import STACK_LABEL, Composition, published_ports
from testbed.checkout import clone
from testbed.containers import host_address, remove_labelled
from testbed.deployment import LONGEST_COMMAND, Deployment, Finished
from testbed.llm.server import LanguageModel
from testbed.ports import reserved
from toolchain.progress import Progress

LABEL = "letta-platform.benchmark"
"""On everything that a benchmark creates outside the stack; the value is the stack's name."""
COMPOSE_PROJECT_LABEL = "com.docker.compose.project"
# What a parent make passes to child makes: ours is not one. And a variable that is rarely set, but makes Python
# compile everything at each start, which would dominate the measurements.
_NOT_OURS = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "STACK", "YES", "PYTHONDONTWRITEBYTECODE")


@dataclass(kw_only=True)
class BenchmarkStack(Deployment):
    """A stack whose commands end with this process."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a user who has set only where the state is."""
        return {key: value for key, value in super().environment.items() if key not in _NOT_OURS}

    def _run(self, command: tuple[str, ...], environment: dict[str, str], given: str | None) -> Finished:
        code, output = processes.run(
            list(command), directory=self.root, environment=environment, given=given, seconds=LONGEST_COMMAND
        )
        return Finished(code=code, output=output)


@dataclass(kw_only=True)
class Platform:
    """What the sections measure. The stack is deployed when the first section needs it."""

    stack: BenchmarkStack
    engine: docker.DockerClient
    progress: Progress
    folder: Path
    """For files of this run; removed at its end."""
    _is_up: bool = field(default=False)

    def up(self) -> BenchmarkStack:
        """Deploy the stack if it is not up, and return it."""
        if not self._is_up:
            with self.progress.step(f"make up STACK={self.stack.stack}, in a clone"):
                self.stack.make("up")
            self._is_up = True
        return self.stack

    def down(self) -> None:
        """Destroy what is deployed; the stack itself, its images and its settings stay."""
        with self.progress.step("destroying the stack"):
            self.stack.pulumi("destroy", "--yes", "--skip-preview")
        self._is_up = False

    @cached_property
    def shell(self) -> dict[str, str]:
        """The environment in which plain `pulumi` works."""
        return self.stack.shell


@contextmanager
def prepared(progress: Progress, engine: docker.DockerClient) -> Iterator[Platform]:
    """Yield a platform with a name, ports, folders and a model of its own; all of it is removed afterwards."""
    stack = f"bench-{secrets.token_hex(3)}"
    with contextlib.ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=f"letta-platform-{stack}-")))
        held.callback(_remove_undisturbed, engine, stack, progress)
        model = held.enter_context(LanguageModel())
        names = published_ports(Composition.ALL)
        ports = held.enter_context(reserved(len(names)))
        (folder / "state").mkdir(mode=0o700)
        (folder / "checkout").mkdir()
        with progress.step("cloning the checkout, with an environment of its own"):
            deployment = BenchmarkStack(
                root=clone(folder / "checkout"), stack=stack, state=folder / "state", engine=engine
            )
            llm_url = model.url(host_address(engine))
            deployment.set(**dict(zip(names, ports, strict=True)), openaiBaseUrl=llm_url)
            deployment.make("toolchain")
            deployment.pulumi("stack", "init")
            deployment.set_secret("openaiApiKey", secrets.token_hex(16))
        yield Platform(stack=deployment, engine=engine, progress=progress, folder=folder)


def _remove_undisturbed(engine: docker.DockerClient, stack: str, progress: Progress) -> None:
    with processes.undisturbed(), progress.step(f"removing what is left of {stack}"):
        remove(engine, stack)


def remove(engine: docker.DockerClient, stack: str) -> None:
    """Remove everything on the engine with this run's labels, and nothing else."""
    remove_labelled(engine, f"{STACK_LABEL}={stack}", f"{LABEL}={stack}", f"{COMPOSE_PROJECT_LABEL}={stack}")
    for image in engine.images.list(filters={"label": f"{LABEL}={stack}"}):
        engine.images.remove(str(image.id), force=True)
