"""Secrets sealed as Pulumi's passphrase provider seals them."""

from __future__ import annotations

import base64
import hashlib
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from operations.stack import decryption

_SALT = b"eightbyt"


def seal(passphrase: str, text: str) -> str:
    """Return a text as it stands in a stack file of `salted`."""
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), _SALT, decryption.ROUNDS, 32)
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, text.encode(), None)
    return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"


def salted(passphrase: str) -> str:
    """Return the `encryptionsalt` of a stack file."""
    return f"v1:{base64.b64encode(_SALT).decode()}:{seal(passphrase, 'pulumi')}"
