"""A stack that a test deploys as a user does: with `make` and `pulumi` in a clone of its own.

It has its own state folder, stack name and ports, so it does not affect anything else on the engine. It shares the
machine's toolchain and image caches, which are keyed by content.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.models.containers
import yaml

from catalogue import SERVICE_LABEL, STACK_LABEL

Container = docker.models.containers.Container

LONGEST_COMMAND = 1800.0
LONGEST_SHOWN = 6000
"""Characters of a failed command's output that are shown."""


class CommandError(AssertionError):
    """A command failed; the message ends with the end of its output."""


@dataclass(kw_only=True)
class Finished:
    """A command's exit code and output."""

    code: int
    output: str


@dataclass(kw_only=True)
class Deployment:
    """One stack, from its deployment to its removal."""

    root: Path
    stack: str
    state: Path
    engine: docker.DockerClient
    _shell: dict[str, str] = field(default_factory=dict)

    # -- commands ---------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a user who has set only where the state is."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "VIRTUAL_ENV"))}
        return {**kept, "XDG_STATE_HOME": str(self.state)}

    def run(
        self,
        *command: str,
        environment: dict[str, str] | None = None,
        given: str | None = None,
        check: bool = True,
    ) -> Finished:
        """Run a command in the clone with `given` as its input; the output has both of its streams.

        Raises:
            CommandError: when it fails and `check` is set.
        """
        finished = self._run(command, environment or self.environment, given)
        if check and finished.code:
            shown = finished.output[-LONGEST_SHOWN:]
            raise CommandError(f"{shlex.join(command)} exited with code {finished.code}:\n{shown}")
        return finished

    def _run(self, command: tuple[str, ...], environment: dict[str, str], given: str | None) -> Finished:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=environment,
            input=given,
            stdin=None if given is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST_COMMAND,
            check=False,
        )
        return Finished(code=done.returncode, output=done.stdout)

    def make(self, target: str, *variables: str, check: bool = True) -> Finished:
        """Run `make TARGET STACK=…`."""
        return self.run("make", target, f"STACK={self.stack}", *variables, check=check)

    @property
    def shell(self) -> dict[str, str]:
        """The environment after the documented `eval "$(make -s env)"`."""
        if not self._shell:
            line = f'eval "$(make -s env STACK={self.stack})" && env -0'
            done = subprocess.run(
                ["bash", "-c", line], cwd=self.root, env=self.environment, stdout=subprocess.PIPE, check=True
            )
            pairs = (entry.split("=", 1) for entry in done.stdout.decode().split("\0") if "=" in entry)
            self._shell = {name: value for name, value in pairs}  # noqa: C416 - lists, not pairs, for mypy
        return self._shell

    def pulumi(self, *arguments: str, check: bool = True, given: str | None = None) -> Finished:
        """Run plain `pulumi` in the environment of `shell`."""
        command = ("pulumi", *arguments, "--stack", self.stack)
        return self.run(*command, environment=self.shell, check=check, given=given)

    # -- settings and state ----------------------------------------------------------------------------------

    def set(self, **settings: object) -> None:
        """Write plain settings into the stack file."""
        path = self.root / f"Pulumi.{self.stack}.yaml"
        document: dict[str, Any] = (yaml.safe_load(path.read_text()) if path.exists() else None) or {}
        config = document.setdefault("config", {})
        for key, value in settings.items():
            if value is None:
                config.pop(f"letta:{key}", None)
            else:
                config[f"letta:{key}"] = value
        path.write_text(yaml.safe_dump(document))

    def set_secret(self, key: str, value: str) -> None:
        """Set a secret as documented: through standard input."""
        self.pulumi("config", "set", "--secret", f"letta:{key}", given=value)

    def outputs(self, *, secrets: bool = False) -> dict[str, Any]:
        """Return the stack's outputs."""
        shown = ("--show-secrets",) if secrets else ()
        found: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json", *shown).output)
        return found

    def containers(self, service: str | None = None, *, everything: bool = False) -> list[Container]:
        """Return this stack's running containers, and with `everything` those that do not run."""
        labels = [f"{STACK_LABEL}={self.stack}"]
        if service:
            labels.append(f"{SERVICE_LABEL}={service}")
        return list(self.engine.containers.list(all=everything, filters={"label": labels}))

    def container(self, service: str) -> Container:
        """Return the only running container of a service."""
        (found,) = self.containers(service)
        return found

    def ids(self) -> dict[str, str]:
        """Return the ids of the running containers by service."""
        return {one.labels[SERVICE_LABEL]: str(one.id) for one in self.containers()}

    def read_volume(self, volume: str, files: str, *, user: str) -> str:
        """Return the content of a volume's files (a shell pattern), read by `user`."""
        shown = self.engine.containers.run(
            self.outputs()["images"]["base"],
            ["sh", "-c", f"cat /volume/{files}"],
            volumes={volume: {"bind": "/volume", "mode": "ro"}},
            user=user,
            remove=True,
        )
        return str(shown.decode())

    def leftovers(self) -> dict[str, list[str]]:
        """Return the sorted names of everything on the engine with this stack's label, by kind."""
        label: Any = {"label": f"{STACK_LABEL}={self.stack}"}
        found: dict[str, list[str]] = {
            "containers": [str(one.name) for one in self.engine.containers.list(all=True, filters=label)],
            "networks": [str(one.name) for one in self.engine.networks.list(filters=label)],
            "volumes": [str(one.name) for one in self.engine.volumes.list(filters=label)],
        }
        return {kind: sorted(names) for kind, names in found.items() if names}


NewDeployment = Callable[..., Deployment]
"""Prepares a stack; its arguments are settings."""
