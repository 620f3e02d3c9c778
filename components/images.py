"""The images of one stack: a base image, and the services' images, which are built on it.

Those that are pinned are taken by digest instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi

import catalogue
from components.image_build import ImageBuild, ImageBuildArgs, stage_ca_bundle

FOLDER = Path("images")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagesArgs:
    """Which images a stack needs, and what they are built from."""

    composition: catalogue.Composition
    debian: str
    """Reference of the Debian image that the base image is built on."""
    ca_bundle: Path | None
    """What builds trust, where the network intercepts TLS."""
    pinned: Mapping[str, str]
    """Image → reference with digest."""
    extra_build_args: Mapping[str, Mapping[str, str]]
    """Image → build arguments that it alone has."""


class Images:
    """The images of a stack, by their names."""

    def __init__(self, name: str, args: ImagesArgs, *, opts: pulumi.ResourceOptions) -> None:
        stage_ca_bundle(args.ca_bundle)
        refreshed = (FOLDER / "refreshed").read_text().strip()

        def build(image: str, base: str, *parents: pulumi.Resource) -> ImageBuild:
            return ImageBuild(
                f"{name}-image-{image}",
                ImageBuildArgs(
                    context=FOLDER / image,
                    build_args={"BASE": base, "REFRESHED": refreshed, **args.extra_build_args.get(image, {})},
                    parents=parents,
                    pinned=args.pinned.get(image),
                ),
                opts=opts,
            )

        base = build(catalogue.BASE_IMAGE_NAME, args.debian)
        self._builds = {catalogue.BASE_IMAGE_NAME: base}
        for service in catalogue.services(args.composition):
            self._builds[service.name] = build(service.name, base.reference, base.image)

    def name(self, image: str) -> pulumi.Output[str]:
        """Return what containers run; services that use it start after the image is built."""
        return self._builds[image].image.name

    @property
    def references(self) -> dict[str, str]:
        """The reference of each image."""
        return {image: build.reference for image, build in sorted(self._builds.items())}
