"""The certificate that collectors present to servers, issued by the stack's own CA.

A job makes it on a volume, so no key is in the state. The CA stays the same; the certificate is renewed by the
first update of each half year, and collectors read it again by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pulumi

import catalogue
import otel
from runtime import Limits, Mount, Rollout, Runtime, ServiceSpec, Volume

FOLDER = otel.CONTAINER.certificates_directory
AUTHORITY = f"{FOLDER}/ca.pem"
"""The CA's certificate, which clients of a collector trust."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OtlpCertificatesArgs:
    """What the certificate is for."""

    runtime: Runtime
    image: pulumi.Input[str]
    """The collector's: it holds the program that makes certificates."""
    names: tuple[str, ...]
    """Names and addresses by which collectors are reached."""
    today: date


class OtlpCertificates(pulumi.ComponentResource):
    """Certificates in a volume, for collectors and those who send to them."""

    volume: Volume
    """Whoever mounts it at `FOLDER` waits until the certificates are in it."""

    def __init__(self, name: str, args: OtlpCertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:telemetry:OtlpCertificates", name, None, opts)
        empty = args.runtime.scratch_volume(name, parent=self)
        job = args.runtime.run(
            name,
            ServiceSpec(
                service="otlp-certificates",
                image=args.image,
                user=catalogue.COLLECTOR.user,
                limits=Limits(memory_mb=64),
                rollout=Rollout.JOB,
                command=("make-certificates", FOLDER, *args.names),
                # Another value makes it another job, which runs.
                environment={"CERTIFICATE_PERIOD": period(args.today)},
                mounts=(Mount(volume=empty, path=FOLDER),),
                deadline_seconds=60,
            ),
            parent=self,
        )
        self.volume = Volume(name=empty.name, resource=job.resource)
        self.register_outputs({})


def period(today: date) -> str:
    """Return the half year that a certificate is issued in; it is valid for more than two."""
    return f"{today.year}-{1 if today.month <= 6 else 2}"
