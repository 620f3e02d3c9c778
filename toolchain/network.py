"""Downloads over https, through the proxy and with the certificates of this machine."""

from __future__ import annotations

import hashlib
import os
import ssl
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from toolchain.progress import Progress

PROBE_SECONDS = 5.0
_STALLED_SECONDS = 30.0
_BUNDLE_VARIABLES = ("LETTA_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")


def ca_bundle(
    environ: Mapping[str, str] = os.environ,
    *,
    system_bundle: Path = _SYSTEM_BUNDLE,
    local_certificates: Path = _LOCAL_CERTIFICATES,
) -> Path | None:
    """Return the CA bundle that image builds need on a network that intercepts TLS; None on one that does not.

    That is the file that an environment variable names for other programs, else the system's bundle if
    certificates have been added to it.
    """
    for variable in _BUNDLE_VARIABLES:
        given = environ.get(variable)
        if given and Path(given).is_file():
            return Path(given).absolute()
    if system_bundle.is_file() and local_certificates.is_dir() and any(local_certificates.rglob("*.crt")):
        return system_bundle
    return None


def client(timeout: float, *, direct: bool = False, authority: str | None = None) -> httpx.Client:
    """Return a client that waits `timeout` seconds for each answer or part of it.

    `direct` uses no proxy, for addresses that the stack itself reaches without one. `authority` is a CA
    certificate in PEM form, trusted in addition to the system's.
    """
    # The system's certificates and not httpx' own: only the former include that of an intercepting proxy.
    context = ssl.create_default_context()
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    if bundle and Path(bundle).is_file():
        context.load_verify_locations(bundle)
    if authority:
        context.load_verify_locations(cadata=authority)
    return httpx.Client(timeout=timeout, follow_redirects=True, verify=context, trust_env=not direct)


def fetch_text(url: str, *, timeout: float = PROBE_SECONDS) -> str:
    """Fetch a small file.

    Raises:
        httpx.HTTPError: when it cannot be downloaded.
    """
    with client(timeout) as opened:
        return opened.get(url).raise_for_status().text


def download(url: str, target: Path, progress: Progress) -> str:
    """Download a file, and return its SHA-256 in hex.

    Raises:
        httpx.HTTPError: when it cannot be downloaded completely.
    """
    digest = hashlib.sha256()
    reported = time.monotonic()
    with (
        client(_STALLED_SECONDS) as opened,
        opened.stream("GET", url) as response,
        target.open("wb") as file,
    ):
        response.raise_for_status()
        total = int(response.headers.get("Content-Length", 0))
        received = 0
        for chunk in response.iter_bytes():
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            if time.monotonic() - reported > 5:
                reported = time.monotonic()
                progress.say(f"{received / 1e6:.0f} MB{f' of {total / 1e6:.0f}' if total else ''}")
    return digest.hexdigest()
