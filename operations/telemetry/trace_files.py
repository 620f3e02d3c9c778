"""Reads files in a stack's volumes, the recorded traces first of all.

A container reads them, because a volume may be on another machine, and only the user who wrote a file may read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import catalogue
import otel
from operations.console.errors import OperationError
from operations.engine.protocol import Engine, Output
from operations.stack.target import Target

_FOLDER = "/volume"


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeFile:
    """A file that the collector wrote or reads, in a volume of a stack."""

    engine: Engine
    image: str
    """What to run `tail` in."""
    stack: str
    volume: str
    path: str
    """In the volume."""

    def tail(self, count: int, *, follow: bool = False) -> Output:
        """Read the last lines, and with `follow` those that are added."""
        # `-F` goes on when the file is rotated or not there yet.
        command = ("tail", "-n", str(count), *(("-F",) if follow else ()), f"{_FOLDER}/{self.path}")
        return self.engine.run_once(
            self.image,
            command,
            stack=self.stack,
            user=catalogue.COLLECTOR.user,
            mounts={self.volume: _FOLDER},
        )


def volume_file(target: Target, engine: Engine, volume: str, path: str) -> VolumeFile:
    """Return a file of a volume.

    Raises:
        OperationError: when there is no image to read it with.
    """
    image = _reading_image(target, engine)
    return VolumeFile(engine=engine, image=image, stack=target.stack, volume=volume, path=path)


def traces_file(target: Target, engine: Engine) -> VolumeFile:
    """Return the file in which a stack records traces.

    Raises:
        OperationError: when the stack records none in files, or there is no image to read them with.
    """
    volume = f"letta-{target.stack}-traces"
    if not any(one.name == volume for one in engine.volumes(target.stack)):
        reason = target.state().outputs.get("telemetryReason")
        raise OperationError(
            "this stack records no traces in files"
            + (f" ({reason})" if reason else ": its volume does not exist"),
            where=f"volume {volume}",
            fix=[f"`make up STACK={target.stack}`", "docs/telemetry.md says which profiles write files"],
        )
    return volume_file(target, engine, volume, otel.TRACES_FILE)


def _reading_image(target: Target, engine: Engine) -> str:
    present = {tag for image in engine.images() for tag in image.tags}
    deployed = target.state().outputs.get("images") or {}
    for image in (deployed.get("base"), catalogue.DEBIAN_IMAGE):
        if image in present:
            return str(image)
    raise OperationError(
        "the image that reads volumes is missing", where=catalogue.DEBIAN_IMAGE, fix=["`make toolchain`"]
    )


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Cut chunks that come from a stream into complete lines."""
    rest = b""
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")
