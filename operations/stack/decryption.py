"""Decrypts what Pulumi's passphrase provider encrypted, without starting Pulumi.

Needed to report *before* anything is built that a stack file was salted with another passphrase, and to know the
values that must not appear in output. The format is Pulumi's: AES-256-GCM, key by PBKDF2-SHA256 with a million
rounds, `v1:<nonce>:<ciphertext>`, and a salt `v1:<salt>:<the encrypted word "pulumi">`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from operations.console.errors import OperationError

if TYPE_CHECKING:
    from settings import StackFile

ROUNDS = 1_000_000
_PROOF = "pulumi"


class WrongPassphraseError(Exception):
    """It was encrypted with another passphrase."""


class Decrypter:
    """Decrypts the values of one stack.

    Raises:
        WrongPassphraseError: when the passphrase is not the one of the salt.
    """

    def __init__(self, passphrase: str, encryption_salt: str) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        version, salt, proof = encryption_salt.split(":", 2)
        if version != "v1":
            raise WrongPassphraseError(f"unknown version {version}")
        key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), base64.b64decode(salt), ROUNDS, 32)
        self._cipher = AESGCM(key)
        if self.decrypt(proof) != _PROOF:
            raise WrongPassphraseError

    def decrypt(self, ciphertext: str) -> str:
        """Return the text of one value.

        Raises:
            WrongPassphraseError: when it was encrypted with another key.
        """
        from cryptography.exceptions import InvalidTag

        try:
            _, nonce, sealed = ciphertext.split(":")
            return self._cipher.decrypt(base64.b64decode(nonce), base64.b64decode(sealed), None).decode()
        except (InvalidTag, ValueError):
            raise WrongPassphraseError from None

    def decrypts(self, ciphertexts: Iterable[str]) -> bool:
        """Whether all of these values were encrypted with this key."""
        try:
            for ciphertext in ciphertexts:
                self.decrypt(ciphertext)
        except WrongPassphraseError:
            return False
        return True


def configured(environment: Mapping[str, str]) -> str | None:
    """Return the passphrase that Pulumi would use, in Pulumi's order; None when none is set.

    Raises:
        OperationError: when its file cannot be read.
    """
    if "PULUMI_CONFIG_PASSPHRASE" in environment:
        return environment["PULUMI_CONFIG_PASSPHRASE"]
    file = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if not file:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise OperationError(
            f"the passphrase file cannot be read: {error.strerror}",
            where=f"PULUMI_CONFIG_PASSPHRASE_FILE={file}",
            fix=["restore the file: without it no secret of the stacks can be decrypted", "or unset the variable"],
        ) from None


def source(environment: Mapping[str, str]) -> str:
    """Return where the passphrase comes from, in words."""
    if "PULUMI_CONFIG_PASSPHRASE" in environment:
        return "the variable PULUMI_CONFIG_PASSPHRASE"
    return environment.get("PULUMI_CONFIG_PASSPHRASE_FILE") or "nowhere"


def mismatch(stack_file: StackFile, environment: Mapping[str, str]) -> OperationError:
    """Return the error for a stack file of another passphrase, with what to do."""
    file = stack_file.path.name
    has_secrets = any(True for _ in stack_file.ciphertexts())
    forget = f"or use your own: remove the line `encryptionsalt:` from {file}"
    if has_secrets:
        forget += ", and set its secrets again (`pulumi config set --secret`): the old ones cannot be decrypted"
    return OperationError(
        f"{file} was salted with another passphrase than the one in use (from {source(environment)})",
        where=f"stack {stack_file.stack}, key encryptionsalt in {stack_file.path}",
        fix=[
            "use the passphrase that it was created with: PULUMI_CONFIG_PASSPHRASE_FILE=/path/of/it make up "
            f"STACK={stack_file.stack}",
            forget,
            "(a deployed stack needs its own passphrase: its state cannot be read without it)",
        ],
    )


def decrypter(stack_file: StackFile, environment: Mapping[str, str]) -> Decrypter | None:
    """Return what decrypts a stack's secrets; None without salt or passphrase, or with another provider.

    Raises:
        OperationError: when the passphrase is not the stack's.
    """
    if stack_file.encryption_salt is None or stack_file.secrets_provider not in {
        None,
        "",
        "default",
        "passphrase",
    }:
        return None
    passphrase = configured(environment)
    if passphrase is None:
        return None
    try:
        return Decrypter(passphrase, stack_file.encryption_salt)
    except (WrongPassphraseError, ValueError):
        raise mismatch(stack_file, environment) from None
