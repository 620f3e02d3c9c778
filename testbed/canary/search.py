"""Finds leaked secrets: canary values are planted as secrets, then every channel is searched.

    canaries = plant_canaries("openaiApiKey", "clickhousePassword")
    ...                                            # deploy with these values
    assert find_leaks(canaries, channels) == []

A leak is found as it is, base64 (at any offset), URL-encoded, JSON-escaped or in hex, also inside gzip. Not found:
base64 broken over lines, other compression within a file of an image layer, encryption. What a channel
reads is in `testbed.canary.channels`.
"""

from __future__ import annotations

import base64
import json
import secrets
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, quote_plus

SHORTEST = 12
"""Characters below which a value, especially in base64, could occur by chance."""

_MARK = "letta0canary0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Something to search: a description of where it is, and its bytes in pieces of any size."""

    where: str
    chunks: Iterable[bytes]


class Channel(Protocol):
    """A channel through which a secret could leak."""

    @property
    def name(self) -> str:
        """Its name in reports."""

    def contents(self) -> Iterator[Content]:
        """Yield everything that it has now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """A canary that was found, and in which form; without its value."""

    channel: str
    where: str
    canary: str
    form: str


class NothingToSearchError(Exception):
    """A channel was empty, so searching it proves nothing."""


def plant_canaries(*names: str) -> dict[str, str]:
    """Return a canary value for each name: 40 letters and digits, which is a valid password."""
    alphabet = string.ascii_letters + string.digits
    size = 40 - len(_MARK)
    return {name: _MARK + "".join(secrets.choice(alphabet) for _ in range(size)) for name in names}


def find_leaks(canaries: Mapping[str, str], channels: Iterable[Channel]) -> list[Leak]:
    """Return all leaks, each canary at most once per content.

    Raises ValueError for canaries so short that they could occur by chance, and NothingToSearchError for a channel
    without content.
    """
    search = _Search(canaries)
    leaks = []
    for channel in channels:
        searched = False
        for content in channel.contents():
            searched = True
            for canary, form in search.found_in(content.chunks):
                leaks.append(Leak(channel=channel.name, where=content.where, canary=canary, form=form))
        if not searched:
            raise NothingToSearchError(channel.name)
    return leaks


def forms(value: str) -> dict[bytes, str]:
    """Return each form in which `value` may be written, with the form's name."""
    raw = value.encode()
    written: list[tuple[str, bytes]] = [("plain", raw), ("hex", raw.hex().encode())]
    for offset, partly in ((0, 0), (1, 2), (2, 3)):
        # Only the characters that depend on `value` alone: what precedes and follows it is unknown.
        own = slice(partly, (offset + len(raw)) * 8 // 6)
        padded = b"\0" * offset + raw
        written.append(("base64", base64.b64encode(padded)[own]))
        written.append(("base64", base64.urlsafe_b64encode(padded)[own]))
    url = quote(value, safe="")
    for text in (url, quote_plus(value), _lower_escapes(url)):
        written.append(("URL-encoded", text.encode()))
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        written.append(("JSON", once.encode()))
        written.append(("JSON in JSON", json.dumps(once, ensure_ascii=ascii_only)[1:-1].encode()))
    named: dict[bytes, str] = {}
    for name, data in written:
        named.setdefault(data, name)
    return named


def _lower_escapes(url: str) -> str:
    first, *rest = url.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])


def _common_start(values: list[str]) -> str:
    shortest = min(values, key=len)
    size = next((n for n, char in enumerate(shortest) if any(v[n] != char for v in values)), len(shortest))
    return shortest[:size]


class _Search:
    """Searches streams. It first looks for what all canaries share, which is fast in gigabytes of image layers."""

    def __init__(self, canaries: Mapping[str, str]) -> None:
        short = [name for name, value in canaries.items() if len(value) < SHORTEST]
        if short or not canaries:
            found = ", ".join(short) or "there are none"
            raise ValueError(f"canaries need at least {SHORTEST} characters: {found}")
        self._wanted = {name: forms(value) for name, value in canaries.items()}
        shared = _common_start(list(canaries.values()))
        every = {data for named in self._wanted.values() for data in named}
        self._hints = tuple(forms(shared)) if len(shared) >= SHORTEST else tuple(every)
        self._overlap = max(map(len, every)) - 1

    def found_in(self, chunks: Iterable[bytes]) -> Iterator[tuple[str, str]]:
        """Yield (canary, form) once for each canary in the stream."""
        missing = dict(self._wanted)
        tail = b""
        for chunk in chunks:
            window = tail + chunk
            if any(hint in window for hint in self._hints):
                for name, named in list(missing.items()):
                    form = next((form for data, form in named.items() if data in window), None)
                    if form is not None:
                        del missing[name]
                        yield name, form
            tail = window[-self._overlap :]
