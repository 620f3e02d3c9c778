"""What every verb works on: a stack of this checkout, the environment of its tools, and the engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from operations.console.errors import OperationError
from operations.console.redaction import hide
from operations.engine.protocol import Engine, EngineUnreachableError
from operations.stack import decryption
from operations.stack.backend import FileBackend, file_backend
from operations.stack.checkout import Checkout
from operations.stack.pulumi_cli import PulumiCli
from operations.stack.state import StackState

if TYPE_CHECKING:
    from settings import Loaded, Settings, StackFile  # imported when it is used: see `Checkout`


def tool_environment(stack: str) -> dict[str, str]:
    """Return this process' environment with what the toolchain adds for Pulumi and its plugins."""
    from toolchain.environment import shell_environment

    # A stack file without salt (a fresh clone) takes it from the state then, instead of inventing another one.
    fallback = {"PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true"}
    return {**fallback, **os.environ, **shell_environment(), "PULUMI_STACK": stack}


@dataclass(frozen=True)
class Target:
    """A stack, and the means to work on it. Everything is read when it is first used."""

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
        """What decrypts the stack file's secrets; see `decryption.decrypter`."""
        return decryption.decrypter(self.stack_file, self.environment)

    @cached_property
    def loaded(self) -> Loaded:
        """The stack's settings as far as they are valid, and what is wrong with them.

        A secret that cannot be decrypted here counts as set and valid; `secret` returns the value of one.
        """
        import settings

        file = self.stack_file
        return settings.check(
            file.decrypted(lambda ciphertext: self._decrypted(ciphertext) or settings.UNREADABLE),
            file.secret_keys,
            stack=self.stack,
            plain_parts=file.plain_parts,
        )

    @property
    def settings(self) -> Settings:
        """The stack's settings; a key that is invalid has its default."""
        return self.loaded.settings

    @property
    def is_protected(self) -> bool:
        """Whether the stack's settings protect its data; so they do where it is not clear what they say."""
        return self.settings.protect_data or not self.loaded.is_valid("protectData")

    def secret(self, key: str) -> str:
        """Return the value of a secret that is set, whatever encrypts it; it is hidden from output from here on.

        Raises:
            OperationError: when it cannot be decrypted.
        """
        from settings import NAMESPACE

        full_key = f"{NAMESPACE}:{key}"
        for ciphertext in self.stack_file.ciphertexts(full_key):
            found = self._decrypted(ciphertext)
            if found is not None:
                return found
        found = self.pulumi().answer("config", "get", full_key).removesuffix("\n")
        hide([found])
        return found

    @cached_property
    def _usable_decrypter(self) -> decryption.Decrypter | None:
        try:
            return self.decrypter
        except OperationError:
            return None

    def _decrypted(self, ciphertext: str) -> str | None:
        """Return the text of an encrypted value, and hide it from output; None where it is not decrypted here."""
        if self._usable_decrypter is None:
            return None
        try:
            found = self._usable_decrypter.decrypt(ciphertext)
        except decryption.WrongPassphraseError:
            return None
        hide([found])
        return found

    def engine(self) -> Engine:
        """Return the engine.

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
                fix=["start it (Docker Desktop, or `systemctl start docker`)", "`make doctor` reports more"],
            ) from None

    def engine_or_none(self) -> Engine | None:
        """Return the engine; None when none answers."""
        try:
            return self.engine()
        except OperationError:
            return None

    def hide_secrets(self) -> None:
        """Hide the values of the secrets in the stack file from all that is printed or logged.

        Raises:
            OperationError: when the passphrase is not the stack's.
        """
        if self.decrypter is not None:
            for ciphertext in self.stack_file.ciphertexts():
                self._decrypted(ciphertext)

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
        """Return the state; an empty one when the backend does not know the stack."""
        if self.backend:
            deployment = self.backend.deployment(self.checkout.project, self.stack)
            if deployment is not None:
                return StackState(deployment)
        return self.pulumi().state() if self.exists() else StackState({})


def target(stack: str) -> Target:
    """Return the target for a stack's name."""
    return Target(stack=stack, environment=tool_environment(stack))
