"""One image: built from a folder of `images/`, or taken by digest when it is pinned.

Owns the tag: a hash of everything that goes into the build, so that it is known at preview, nothing is rebuilt
when nothing changed, and an image that changed never hides behind an old name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_docker as docker

import catalogue

# Always the same path, so that no machine's own shows up as a difference; the folder is not in the repository.
CA_BUNDLE = Path("build") / "ca.pem"


def stage_ca_bundle(source: Path | None) -> None:
    """Write the certificates that builds are to trust where builds find them; none for None.

    For networks that intercept TLS. Builds get them as a secret, so that no layer, hash or state holds them.
    """
    content = source.read_bytes() if source else b""
    if not CA_BUNDLE.exists() or CA_BUNDLE.read_bytes() != content:
        CA_BUNDLE.parent.mkdir(exist_ok=True)
        CA_BUNDLE.write_bytes(content)


def content_hash(context: Path, build_args: Mapping[str, str]) -> str:
    """Return a hash of a build's inputs: names, executable bits and contents below `context`, and the arguments.

    Every file counts, even one that no COPY names: a needless rebuild is cheap, a missed one is a wrong image.
    """
    digest = hashlib.sha256()
    for key, value in sorted(build_args.items()):
        digest.update(f"{key}={value}\0".encode())
    for path in sorted(context.rglob("*")):
        # Tests import some of the scripts, which leaves bytecode next to them.
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            executable = bool(path.stat().st_mode & 0o100)
            digest.update(f"{path.relative_to(context)}\0{executable}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()[:12]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageBuildArgs:
    """What an image is made from."""

    context: Path
    """Folder with the Dockerfile, relative to the program, so that every clone has the same state."""
    build_args: Mapping[str, str] = field(default_factory=dict)
    parents: tuple[pulumi.Resource, ...] = ()
    """Images that this one is built on."""
    pinned: str | None = None
    """`name@sha256:…`: nothing is built."""


class ImageBuild(pulumi.ComponentResource):
    """An image on the engine; `reference` is what containers run."""

    reference: str
    image: docker.RemoteImage

    def __init__(self, name: str, args: ImageBuildArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("letta:docker:ImageBuild", name, None, opts)
        short = args.context.name
        if args.pinned:
            self.reference = args.pinned
            self.image = docker.RemoteImage(
                name, name=args.pinned, keep_locally=True, opts=pulumi.ResourceOptions(parent=self)
            )
        else:
            self.reference = f"{catalogue.IMAGE_PREFIX}{short}:{content_hash(args.context, args.build_args)}"
            self.image = docker.RemoteImage(
                name,
                name=self.reference,
                build=docker.RemoteImageBuildArgs(
                    context=str(args.context),
                    dockerfile="Dockerfile",
                    build_args=dict(args.build_args),
                    # Not `labels`: the provider's BuildKit path never reads that one.
                    label={catalogue.IMAGE_LABEL: short},
                    # The engine's own: a builder that a user has chosen could not see the local base image.
                    builder="default",
                    # The only output that says what failed in a build.
                    build_log_file=str(CA_BUNDLE.with_name(f"{short}.log")),
                    secrets=[docker.RemoteImageBuildSecretArgs(id="ca", src=str(CA_BUNDLE))],
                ),
                # Old images are collected by label (`make clean`): one that is in use cannot be removed here.
                keep_locally=True,
                opts=pulumi.ResourceOptions(
                    parent=self, depends_on=list(args.parents), delete_before_replace=False
                ),
            )
        self.register_outputs({"reference": self.reference})
