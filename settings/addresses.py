"""Addresses that containers of the stack reach: what they may be, and the form that whoever uses them needs."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

from catalogue import MACHINE

_LOOPBACK_NAMES = frozenset({"ip6-localhost", "ip6-loopback"})
_KNOWN_PATHS = frozenset({"/v1", "/api"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why containers cannot use an address."""

    rule: str
    """As the end of a sentence."""
    example: str | None = None
    """The address that works instead; of what the user wrote it keeps scheme and port alone."""


def is_loopback(host: str) -> bool:
    """Whether a host, in any notation that resolvers take, is the one that asks: in a container, the container."""
    host = host.lower().strip("[]").rstrip(".")
    if host.split(".")[-1] == "localhost" or host.startswith("localhost.") or host in _LOOPBACK_NAMES:
        return True
    try:
        if ":" in host:
            address = ipaddress.IPv6Address(host.partition("%")[0])
            mapped = address.ipv4_mapped
            return address.is_loopback or address.is_unspecified or bool(mapped and is_loopback(str(mapped)))
        # 127.1, 0x7f000001 and 2130706433 are 127.0.0.1, too.
        packed = socket.inet_aton(host)
    except (OSError, ValueError):
        return False
    return packed[0] in {0, 127}


def refusal(url: str) -> Refusal | None:
    """Return why containers cannot reach a valid URL; None where nothing is known to be in the way."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        port = f":{parts.port}" if parts.port else ""
        path = parts.path.rstrip("/") if parts.path.rstrip("/") in _KNOWN_PATHS else ""
        example = f"{parts.scheme}://{MACHINE}{port}{path}"
        return Refusal(
            rule=(
                f"must not be a loopback address, which is the container itself there: use {example} for this "
                "machine, where the service must listen on more than 127.0.0.1"
            ),
            example=example,
        )
    if ":" in host:
        return Refusal(rule="must be a name or an IPv4 address: the stack's networks have no IPv6")
    return None


def normalised(url: str) -> str:
    """Return a URL with scheme and host in lower case, and without slashes at its end."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.lower(), path=re.sub("/+", "/", parts.path).rstrip("/")))


def openai(url: str) -> str:
    """Return OpenAI's base URL: the server compares it, to the letter, with the one of OpenAI itself."""
    url = normalised(url)
    return f"{url}/v1" if url == "https://api.openai.com" else url


def ollama(url: str) -> str:
    """Return Ollama's base URL with `/v1`: embeddings are sent to it as it is, everything else works both ways."""
    return normalised(url).removesuffix("/api").removesuffix("/v1").rstrip("/") + "/v1"


def azure(url: str) -> str:
    """Return Azure OpenAI's base URL, to which the server appends `/openai/…` itself unless it ends in `/v1`."""
    return normalised(url).removesuffix("/openai")


def has_only_origin(parts: SplitResult) -> bool:
    """Whether a URL consists of scheme, host and port."""
    return parts.path in {"", "/"} and not parts.query and not parts.fragment
