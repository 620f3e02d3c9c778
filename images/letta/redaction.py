"""Keeps secrets out of what a program prints, for source that the image build did not patch.

A checkout that somebody works on prints the server's password and the database's address at start, as upstream
wrote it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

SECRETS = Path("/run/secrets")
SHORTEST = 8
"""Shorter values would be found in the middle of words."""


class Redacted:
    """A text stream that writes `***` in place of every secret."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._secrets = sorted(_values(), key=len, reverse=True)

    def write(self, text: str) -> int:
        """Write the text without the secrets in it; give the length of what was asked for."""
        length = len(text)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        self._stream.write(text)
        return length

    def writelines(self, lines: list[str]) -> None:
        """Write every line without the secrets in it."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _values() -> set[str]:
    names = {path.name for path in SECRETS.glob("*")} if SECRETS.is_dir() else set()
    values = {os.environ.get(name, "") for name in names}
    values |= {urlsplit(value).password or "" for value in values if "://" in value}
    return {value for value in values if len(value) >= SHORTEST}
