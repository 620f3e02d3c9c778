"""The channels that `testbed.canary.search` searches, one class for each."""

from __future__ import annotations

import json
import tarfile
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from docker import DockerClient

from catalogue import STACK_LABEL
from testbed.canary.search import Channel, Content
from testbed.deployment import Deployment

CHUNK = 4 << 20
ZSTD = b"\x28\xb5\x2f\xfd"
GZIP = b"\x1f\x8b"
GZIP_ONLY = zlib.MAX_WBITS | 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """Text that a test already has: a preview, an exported state without secrets, the output of a command."""

    name: str
    text: str

    def contents(self) -> Iterator[Content]:
        """Yield the text unless it is empty."""
        if self.text:
            yield Content(where=self.name, chunks=[self.text.encode()])


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """All files below some folders: a state backend with its history and backups, logs, docs."""

    name: str
    roots: tuple[Path, ...]

    def contents(self) -> Iterator[Content]:
        """Yield each regular file; links are not followed, files that vanish meanwhile are skipped."""
        for root in self.roots:
            for path in sorted([root] if root.is_file() else root.rglob("*")):
                if path.is_symlink() or not path.is_file():
                    continue
                with suppress(FileNotFoundError), path.open("rb") as file:
                    yield Content(where=str(path), chunks=_opened(_blocks(file)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspections:
    """The output of `docker inspect` for a stack's containers, networks, volumes and images."""

    client: DockerClient
    stack: str
    name: str = "docker inspect"

    def contents(self) -> Iterator[Content]:
        """Yield each object's full description; an image's with its history."""
        label = f"{STACK_LABEL}={self.stack}"
        client = self.client
        for container in client.containers.list(all=True, filters={"label": label}):
            yield _described("container", str(container.name), container.attrs)
        for network in client.networks.list(filters={"label": label}):
            network.reload()
            yield _described("network", str(network.name), network.attrs)
        for volume in client.volumes.list(filters={"label": label}):
            volume.reload()
            yield _described("volume", str(volume.id), volume.attrs)
        for image in _images(client, self.stack):
            yield _described("image", _called(image), [image.attrs, image.history()])


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerLogs:
    """The logs of a stack's containers, running and exited."""

    client: DockerClient
    stack: str
    name: str = "container logs"

    def contents(self) -> Iterator[Content]:
        """Yield each container's standard output and error since it was created."""
        label = f"{STACK_LABEL}={self.stack}"
        for container in self.client.containers.list(all=True, filters={"label": label}):
            lines = cast("Iterable[bytes]", container.logs(stream=True, follow=False))
            yield Content(where=f"container {container.name}", chunks=lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLayers:
    """Every byte of a stack's images: layers, configuration, manifest, as `docker save` writes them.

    Layers that images share are read once. Layers in zstd raise ValueError, because they cannot be searched.
    """

    client: DockerClient
    stack: str
    name: str = "image layers"

    def contents(self) -> Iterator[Content]:
        """Yield each member of each image's archive."""
        seen: set[str] = set()
        for image in _images(self.client, self.stack):
            stream = cast("IO[bytes]", _Stream(image.save(chunk_size=CHUNK)))
            with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isfile() else None
                    shared = "/" in member.name  # layers and blobs are named by content, the rest is per image
                    if file is None or (shared and member.name in seen):
                        continue
                    seen.add(member.name)
                    yield Content(where=f"image {_called(image)}: {member.name}", chunks=_opened(_blocks(file)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Processes:
    """The command lines of all processes that run on this machine, including those in containers.

    Environments are not searched: Letta can read its secrets only from there. They are readable only by root and
    the service's own user, which can read the secret files, too.
    """

    name: str = "process list"
    proc: Path = Path("/proc")

    def contents(self) -> Iterator[Content]:
        """Yield the command line of each process; kernel threads have none."""
        for line in sorted(_command_lines(self.proc)):
            yield _process(line)


@dataclass(kw_only=True, slots=True)
class ProcessWatch:
    """The command lines of processes that ran while the context was entered, even for a short time.

    It checks every `interval` seconds: a process that ends sooner may be missed.
    """

    name: str = "process list over time"
    proc: Path = Path("/proc")
    interval: float = 0.1
    _seen: set[bytes] = field(default_factory=set, init=False)
    _over: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self._over.clear()
        self._seen = self._seen | _command_lines(self.proc)
        self._thread = threading.Thread(target=self._watch, name="process watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()
        self._seen = self._seen | _command_lines(self.proc)

    def contents(self) -> Iterator[Content]:
        """Yield each command line once."""
        for line in sorted(self._seen):
            yield _process(line)

    def _watch(self) -> None:
        while not self._over.wait(self.interval):
            self._seen = self._seen | _command_lines(self.proc)


def channels_of(deployment: Deployment) -> list[Channel]:
    """Return every channel of a deployed stack."""
    client, stack = deployment.engine, deployment.stack
    return [
        Inspections(client=client, stack=stack),
        ContainerLogs(client=client, stack=stack),
        ImageLayers(client=client, stack=stack),
        Processes(),
        Files(name="state", roots=(deployment.state,)),
        Files(name="stack file", roots=(deployment.root / f"Pulumi.{stack}.yaml",)),
        Text(name="preview", text=deployment.pulumi("preview", "--diff").output),
        Text(name="exported state", text=deployment.pulumi("stack", "export").output),
    ]


def _command_lines(proc: Path) -> set[bytes]:
    lines = set()
    for process in proc.iterdir():
        if process.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                lines.add((process / "cmdline").read_bytes())
    return lines - {b""}


def _process(line: bytes) -> Content:
    """Name a process by its program only: the other arguments may be secrets."""
    program = line.split(b"\0")[0].decode(errors="replace")
    return Content(where=f"process {program}", chunks=[line])


def _images(client: DockerClient, stack: str) -> list[Any]:
    """Return the images of the stack's containers, including exited ones, each once.

    They are found by the names with which the containers were started, which depend on their content: with the
    containerd image store, the same build by another stack replaces the image by one with another id.
    """
    containers = client.containers.list(all=True, filters={"label": f"{STACK_LABEL}={stack}"})
    return [client.images.get(name) for name in sorted({str(c.attrs["Config"]["Image"]) for c in containers})]


def _called(image: Any) -> str:
    return str((image.tags or [image.id])[0])


def _described(kind: str, name: str, attributes: Any) -> Content:
    text = json.dumps(attributes, ensure_ascii=False)
    return Content(where=f"{kind} {name}", chunks=[text.encode()])


class _Stream:
    """A readable file made of chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts, wanted = [], size
        while wanted:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    break
            part, self._rest = self._rest[:wanted], self._rest[wanted:]
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(CHUNK):
        yield block


def _opened(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks, uncompressed if they are gzip."""
    stream = iter(chunks)
    first = next(stream, b"")
    if first.startswith(ZSTD):
        raise ValueError("zstd: this cannot be searched")
    if first.startswith(GZIP):
        yield from _unzipped(chain([first], stream))
    else:
        yield first
        yield from stream


def _unzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of consecutive gzip members; what follows them, or is broken, unchanged."""
    unzip = zlib.decompressobj(wbits=GZIP_ONLY)
    for chunk in chunks:
        rest = chunk
        while rest:
            try:
                yield unzip.decompress(rest, CHUNK)
            except zlib.error:
                yield rest
                break
            rest = unzip.unconsumed_tail
            if unzip.eof:
                rest = unzip.unused_data
                unzip = zlib.decompressobj(wbits=GZIP_ONLY)
    with suppress(zlib.error):
        yield unzip.flush()
