"""What every verb works on: a stack of this checkout, the environment of its tools, and the engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from operations.console.errors import OperationError
from operations.console.redaction import hide
from operations.engine.protocol import Engine, EngineUnreachableError
from operations.stack import decryption
from operations.stack.backend import FileBackend, file_backend
from operations.stack.checkout import Checkout, StackFile
from operations.stack.pulumi_cli import PulumiCli
from operations.stack.state import StackState


def tool_environment(stack: str) -> dict[str, str]:
    """Give this process' environment with what the toolchain adds for Pulumi and its plugins."""
    from toolchain.environment import shell_environment

    # A stack file without salt (a fresh clone) takes it from the state then, instead of inventing another one.
    fallback = {"PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true"}
    return {**fallback, **os.environ, **shell_environment(), "PULUMI_STACK": stack}


@dataclass(frozen=True)
class Target:
    """A stack, and the means to work on it. Nothing is read before it is needed."""

    stack: str
    environment: Mapping[str, str]
    checkout: Checkout = field(default_factory=Checkout)

    @cached_property
    def stack_file(self) -> StackFile:
        """The stack's file."""
        return self.checkout.stack_file(self.stack)

    @cached_property
    def backend(self) -> FileBackend | None:
        """The backend, when it is a folder."""
        return file_backend(self.environment)

    @cached_property
    def decrypter(self) -> decryption.Decrypter | None:
        """What opens the stack file's secrets; see `passphrase.decrypter`."""
        return decryption.decrypter(self.stack_file, self.environment)

    @property
    def is_protected(self) -> bool:
        """Whether the stack's settings protect its data."""
        return self.stack_file.flag("protectData")

    def engine(self) -> Engine:
        """Reach the engine.

        Raises:
            OperationError: when none answers.
        """
        from operations.engine.docker_engine import connect

        try:
            return connect(self.environment)
        except EngineUnreachableError as error:
            raise OperationError(
                "no Docker engine answers",
                where=str(error),
                fix=["start it (Docker Desktop, or `systemctl start docker`)", "`make doctor` looks closer"],
            ) from None

    def engine_or_none(self) -> Engine | None:
        """Reach the engine; None when none answers."""
        try:
            return self.engine()
        except OperationError:
            return None

    def hide_secrets(self) -> None:
        """Hide the values of the secrets in the stack file from all that is printed or logged.

        Raises:
            OperationError: when our passphrase is not the stack's.
        """
        if self.decrypter is None:
            return
        for ciphertext in self.stack_file.ciphertexts():
            try:
                hide([self.decrypter.open(ciphertext)])
            except decryption.WrongPassphraseError:
                continue

    def pulumi(self) -> PulumiCli:
        """Return the CLI for this stack; the stack file's secrets are hidden from here on."""
        self.hide_secrets()
        return PulumiCli(environment=self.environment, directory=self.checkout.root, stack=self.stack)

    def exists(self) -> bool:
        """Whether the backend knows the stack."""
        if self.backend:
            return self.backend.stack_exists(self.checkout.project, self.stack)
        try:
            self.pulumi().answer("stack", "--show-name")
        except OperationError as error:
            if "no stack named" in error.problem:
                return False
            raise
        return True

    def state(self) -> StackState:
        """Give the state; an empty one when the backend does not know the stack."""
        if self.backend:
            deployment = self.backend.deployment(self.checkout.project, self.stack)
            if deployment is not None:
                return StackState(deployment)
        return self.pulumi().state() if self.exists() else StackState({})


def target(stack: str) -> Target:
    """Give the target for a stack's name."""
    return Target(stack=stack, environment=tool_environment(stack))
