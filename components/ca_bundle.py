"""CA certificates that programs trust in addition to those of their image (`telemetryCaBundle`)."""

from __future__ import annotations

import pulumi

from runtime import FileBundle, Files, Runtime

FOLDER = "/run/authorities"
FILE = f"{FOLDER}/ca.pem"


def files(
    runtime: Runtime, name: str, ca_bundle: str | None, *, service: str, user: int, parent: pulumi.Resource
) -> tuple[Files, ...]:
    """Return the bundle that puts PEM certificates at `FILE`, for what runs as `name`; empty without any."""
    if ca_bundle is None:
        return ()
    bundle = FileBundle(service=service, owner=user, path=FOLDER, files={"ca.pem": ca_bundle})
    return (runtime.files(f"{name}-authorities", bundle, parent=parent),)


def trusted_by_go(ca_bundle: str | None) -> dict[str, str]:
    """Return the environment in which a Go program trusts them, too."""
    # For folders only: the image's own certificates are a file, which SSL_CERT_FILE would replace.
    return {"SSL_CERT_DIR": FOLDER} if ca_bundle else {}
