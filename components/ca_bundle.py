"""Certificate authorities that programs trust beside those of their image (`telemetryCaBundle`)."""

from __future__ import annotations

from runtime import FileBundle

FOLDER = "/run/authorities"
FILE = f"{FOLDER}/ca.pem"


def bundles(ca_bundle: str | None) -> tuple[FileBundle, ...]:
    """Give what puts certificates in PEM form to `FILE`; nothing for none."""
    if ca_bundle is None:
        return ()
    return (FileBundle(name="authorities", path=FOLDER, files={"ca.pem": ca_bundle}),)


def trusted_by_go(ca_bundle: str | None) -> dict[str, str]:
    """Give the environment in which a program in Go trusts them, too."""
    # For folders only: the image's own certificates are a file, which SSL_CERT_FILE would replace.
    return {"SSL_CERT_DIR": FOLDER} if ca_bundle else {}
