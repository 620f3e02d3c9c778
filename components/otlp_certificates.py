"""The certificate with which collectors answer servers, from an authority that nobody else knows.

Made by a JOB on a volume, so that no key is in the state. The authority stays; the certificate is made anew every
half year, by the first update of it, and collectors read it again by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pulumi

import otel
from components.collector import USER
from runtime import Mount, Rollout, Runtime, ServiceSpec

FOLDER = otel.CONTAINER.certificates_directory
AUTHORITY = f"{FOLDER}/ca.pem"


@dataclass(frozen=True, kw_only=True, slots=True)
class OtlpCertificatesArgs:
    """What is certified."""

    runtime: Runtime
    image: pulumi.Input[str]
    """The collector's: it holds the program that makes certificates."""
    names: tuple[str, ...]
    """Names and addresses by which collectors are reached."""
    today: date


class OtlpCertificates(pulumi.ComponentResource):
    """Certificates are in `volume` once `ready` exists."""

    volume: pulumi.Output[str]
    ready: pulumi.Resource

    def __init__(self, name: str, args: OtlpCertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:telemetry:OtlpCertificates", name, None, opts)
        self.volume = args.runtime.scratch_volume(name, parent=self)
        job = args.runtime.run(
            name,
            ServiceSpec(
                service="otlp-certificates",
                image=args.image,
                user=USER,
                memory_mb=64,
                rollout=Rollout.JOB,
                command=("make-certificates", FOLDER, *args.names),
                # Another value makes it another JOB, which runs.
                environment={"CERTIFICATE_PERIOD": period(args.today)},
                mounts=(Mount(source=self.volume, path=FOLDER),),
                deadline_seconds=60,
            ),
            parent=self,
        )
        self.ready = job.resource
        self.register_outputs({})


def period(today: date) -> str:
    """Give the half year that a certificate is made in; it is valid for more than two."""
    return f"{today.year}-{1 if today.month <= 6 else 2}"
