"""Looks for secrets where none may be: canary values are planted as secrets, then every channel is searched.

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
"""Characters below which a value could turn up by chance, base64 of it above all."""

_MARK = "letta0canary0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Something to search: where it is, in words for a person, and its bytes in pieces of any size."""

    where: str
    chunks: Iterable[bytes]


class Channel(Protocol):
    """A way by which a secret could get out."""

    @property
    def name(self) -> str:
        """What a report calls it."""

    def contents(self) -> Iterator[Content]:
        """Give all there is, each time anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """A canary that was found, and in which form; its value is not repeated here."""

    channel: str
    where: str
    canary: str
    form: str


class NothingToSearchError(Exception):
    """A channel was empty: the search would have found nothing whatever there was to find."""


def plant_canaries(*names: str) -> dict[str, str]:
    """Give a canary value for each name: 40 letters and digits, so that it passes for a password."""
    alphabet = string.ascii_letters + string.digits
    size = 40 - len(_MARK)
    return {name: _MARK + "".join(secrets.choice(alphabet) for _ in range(size)) for name in names}


def find_leaks(canaries: Mapping[str, str], channels: Iterable[Channel]) -> list[Leak]:
    """Give all leaks, each canary at most once per place.

    Raises ValueError for canaries that are too short to be told from chance, and NothingToSearchError for a
    channel without content.
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
    """Give each way in which `value` may be written, with its name."""
    raw = value.encode()
    ways: list[tuple[str, bytes]] = [("plain", raw), ("hex", raw.hex().encode())]
    for offset, partly in ((0, 0), (1, 2), (2, 3)):
        # Only the characters that `value` alone decides: what stands before and after it is unknown.
        whole = slice(partly, (offset + len(raw)) * 8 // 6)
        padded = b"\0" * offset + raw
        ways.append(("base64", base64.b64encode(padded)[whole]))
        ways.append(("base64", base64.urlsafe_b64encode(padded)[whole]))
    url = quote(value, safe="")
    for text in (url, quote_plus(value), _lower_escapes(url)):
        ways.append(("URL-encoded", text.encode()))
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        ways.append(("JSON", once.encode()))
        ways.append(("JSON in JSON", json.dumps(once, ensure_ascii=ascii_only)[1:-1].encode()))
    named: dict[bytes, str] = {}
    for name, data in ways:
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
    """Searches streams. Gigabytes of image layers are looked through for what all canaries share first."""

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
        """Give (canary, form) for each canary in the stream, once."""
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
