"""Checks the network to the package registries: names, TLS, and their clocks.

Their hosts are read from the configuration of the clients that will use them (pip, Go, the engine), so that a
company's mirror is checked where there is one.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from operations.checks.result import Check, broken, note, ok, unknown

SECONDS = 5.0
_DEFAULT_URL = re.compile(r"default:?\s*<?(https?://[^\s)>]+)")

Run = Callable[[Sequence[str]], str]
"""Runs a command and returns its output; empty when it fails or does not exist."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Registry:
    """A server that packages come from."""

    client: str
    url: str

    @property
    def host(self) -> str:
        """Its host."""
        return urlsplit(self.url).hostname or ""


def run(command: Sequence[str]) -> str:
    """Run a command; see `Run`."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def python_index(environment: Mapping[str, str], run: Run = run) -> str:
    """Return the package index of pip: from its variables, its files, or the default that its help names."""
    for variable in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        if environment.get(variable):
            return environment[variable]
    pip = [sys.executable, "-m", "pip"]
    for line in run([*pip, "config", "list"]).splitlines():
        key, _, value = line.partition("=")
        if key.endswith((".index-url", ".index_url")):
            return value.strip("'\" ")
    found = _DEFAULT_URL.search(" ".join(run([*pip, "install", "--help"]).split()))
    return found[1] if found else ""


def go_proxies(run: Run = run) -> tuple[str, ...]:
    """Return the module proxies that Go uses."""
    entries = re.split(r"[,|]", run(["go", "env", "GOPROXY"]).strip())
    return tuple(entry for entry in entries if entry.startswith("http"))


def registries(
    environment: Mapping[str, str], engine_hosts: Collection[str], run: Run = run
) -> tuple[Registry, ...]:
    """Return the registries that this machine's clients are configured for, each host once."""
    index = python_index(environment, run)
    found = [Registry(client="pip", url=index)] if index else []
    found += [Registry(client="go", url=url) for url in go_proxies(run)]
    found += [Registry(client="docker", url=f"https://{host}/") for host in engine_hosts]
    return tuple({one.host: one for one in reversed(found) if one.host}.values())[::-1]


class Trust(StrEnum):
    """Who trusts a host's certificate."""

    PUBLIC = "public"
    """Its certificate authority is a public one."""
    INTERCEPTED = "intercepted"
    """Only this machine trusts its certificate authority: a proxy on the way intercepts TLS."""
    UNTRUSTED = "untrusted"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryProbe:
    """What a probe of a registry found."""

    registry: Registry
    resolves: bool
    trust: Trust
    date: datetime | None = None
    reason: str = ""


def resolves(host: str) -> bool:
    """Whether the host's name resolves."""
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def _ask(url: str, context: ssl.SSLContext) -> datetime | None:
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - only https
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as response:  # noqa: S310
            date = response.headers.get("Date")
    except urllib.error.HTTPError as error:
        # An answer of any kind went through TLS, and has a date.
        date = error.headers.get("Date")
    try:
        return parsedate_to_datetime(date) if date else None
    except ValueError:
        return None


def probe(registry: Registry) -> RegistryProbe:
    """Resolve a registry's host, and connect with the public CA certificates, then with this machine's."""
    import certifi

    found = resolves(registry.host)
    parts = urlsplit(registry.url)
    if parts.scheme != "https":
        return RegistryProbe(registry=registry, resolves=found, trust=Trust.PUBLIC if found else Trust.UNREACHABLE)
    port = f":{parts.port}" if parts.port else ""
    url = f"https://{parts.hostname}{port}/"
    contexts = {
        Trust.PUBLIC: ssl.create_default_context(cafile=certifi.where()),
        Trust.INTERCEPTED: ssl.create_default_context(),
    }
    worst, reason = Trust.UNREACHABLE, ""
    for trust, context in contexts.items():
        try:
            date = _ask(url, context)
        except (urllib.error.URLError, OSError) as error:
            cause = getattr(error, "reason", error)
            reason = str(cause)
            if isinstance(cause, ssl.SSLCertVerificationError):
                worst = Trust.UNTRUSTED
                continue
            break
        return RegistryProbe(registry=registry, resolves=found, trust=trust, date=date)
    return RegistryProbe(registry=registry, resolves=found, trust=worst, reason=reason)


def probe_all(found: Sequence[Registry]) -> tuple[RegistryProbe, ...]:
    """Probe registries at the same time."""
    if not found:
        return ()
    with ThreadPoolExecutor(max_workers=len(found)) as pool:
        return tuple(pool.map(probe, found))


def dns_check(probes: Collection[RegistryProbe], *, by_proxy: bool) -> Check:
    """Report which registries' names can be resolved."""
    if not probes:
        return unknown("DNS", "no registry is configured")
    lost = [one.registry for one in probes if not one.resolves]
    if not lost:
        return ok("DNS", ", ".join(f"{one.registry.host} ({one.registry.client})" for one in probes))
    names = ", ".join(f"{one.host} ({one.client})" for one in lost)
    if by_proxy:
        return ok("DNS", f"{names} not resolved here; the proxy does that")
    if len(lost) < len(probes):
        return note("DNS", f"not resolved: {names}; packages from there are not available")
    fix = "check /etc/resolv.conf and the network; behind a proxy set HTTPS_PROXY"
    return broken("DNS", f"not resolved: {names}", fix)


def tls_check(
    probes: Collection[RegistryProbe], *, ca_bundle: Path | None, environment: Mapping[str, str]
) -> Check:
    """Report whether the network intercepts TLS, and whether image builds trust its certificates."""
    reached = [one for one in probes if one.trust is not Trust.UNREACHABLE]
    if not reached:
        return unknown(
            "TLS", "; ".join(f"{one.registry.host}: {one.reason}" for one in probes) or "no registry to connect to"
        )
    untrusted = [one.registry.host for one in reached if one.trust is Trust.UNTRUSTED]
    if untrusted:
        return broken(
            "TLS",
            f"this machine does not trust the certificate authority of {', '.join(untrusted)}",
            "ask your network's administrators for its certificate, and let this machine trust it (SSL_CERT_FILE)",
        )
    intercepted = [one.registry.host for one in reached if one.trust is Trust.INTERCEPTED]
    if not intercepted:
        return ok("TLS", "not intercepted")
    said = f"intercepted (seen at {', '.join(intercepted)})"
    # The toolchain sets the variable to what it found on this machine.
    bundle = ca_bundle or environment.get("LETTA_CA_BUNDLE")
    if bundle:
        return ok("TLS", f"{said}; image builds trust {bundle}")
    fix = f"`pulumi config set caBundle {environment.get('SSL_CERT_FILE') or '/path/to/ca.pem'}`"
    return note("TLS", f"{said}; image builds must trust its certificate authority", fix)


def times(probes: Collection[RegistryProbe]) -> tuple[tuple[str, datetime], ...]:
    """Return the times that registries sent."""
    return tuple((one.registry.host, one.date) for one in probes if one.date)


def has_proxy(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether requests go through a proxy."""
    return any(environment.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
