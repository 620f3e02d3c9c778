"""The search for leaked secrets finds what is leaked on purpose, in each channel and each form."""

from __future__ import annotations

import base64
import gzip
import io
import json
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import pytest
from docker import DockerClient

from catalogue import STACK_LABEL
from testbed.canary import channels
from testbed.canary.search import Channel, Leak, NothingToSearchError, find_leaks, forms, plant_canaries

pytestmark = pytest.mark.unit

SPECIAL = 'pa"ss\\wörd/with?all+$igns'
CANARIES = {"password": "letta0canary0AbCdEfGhIjKlMnOpQrStUvWx", "apiKey": "letta0canary0ZyXwVuTsRqPoNmLkJiHgFeDc"}
STACK = "test"


def text(content: str) -> channels.Text:
    return channels.Text(name="preview", text=content)


def test_clean_text_has_no_leaks() -> None:
    assert find_leaks(CANARIES, [text("nothing to see; letta0canary0 alone is not a secret")]) == []


@pytest.mark.parametrize(
    ("encode", "form"),
    [
        (lambda value: value, "plain"),
        (lambda value: quote(value, safe=""), "URL-encoded"),
        (lambda value: quote(value, safe="").lower(), "URL-encoded"),
        (json.dumps, "JSON"),
        (lambda value: json.dumps({"value": value}, ensure_ascii=False), "JSON"),
        (lambda value: json.dumps(json.dumps({"value": value})), "JSON in JSON"),
        (lambda value: value.encode().hex(), "hex"),
        (lambda value: base64.b64encode(value.encode()).decode(), "base64"),
        (lambda value: base64.b64encode(b"user:" + value.encode() + b"\n").decode(), "base64"),
        (lambda value: base64.urlsafe_b64encode(b"use:" + value.encode() + b"@host").decode(), "base64"),
    ],
)
def test_a_secret_with_any_character_is_found_in_any_form(encode: Callable[[str], str], form: str) -> None:
    leaks = find_leaks({"password": SPECIAL}, [text(f"before {encode(SPECIAL)} after")])

    assert leaks == [Leak(channel="preview", where="preview", canary="password", form=form)]


def test_each_canary_is_reported_by_name_once_per_content() -> None:
    value = CANARIES["apiKey"]

    (leak,) = find_leaks(CANARIES, [text(f"{value} {value} {quote(value)}")])

    assert leak.canary == "apiKey"
    assert value not in repr(leak)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_secret_split_across_chunks_is_found(size: int) -> None:
    data = b"x" * 50 + base64.b64encode(CANARIES["password"].encode()) + b"y" * 50
    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    leaks = find_leaks(CANARIES, [FakeChannel(pieces)])

    assert [leak.canary for leak in leaks] == ["password"]


def test_canaries_without_a_common_start_are_found_too() -> None:
    assert [leak.canary for leak in find_leaks({"a": "x" * 20, "b": "y" * 20}, [text("z" + "y" * 20)])] == ["b"]


@pytest.mark.parametrize("canaries", [{}, {"pin": "1234"}])
def test_canaries_that_could_occur_by_chance_are_refused(canaries: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="at least 12 characters"):
        find_leaks(canaries, [])


def test_planted_canaries_differ_and_are_valid_passwords() -> None:
    planted = plant_canaries("one", "two")

    assert planted["one"] != planted["two"]
    assert all(len(value) == 40 and value.isalnum() and value.isascii() for value in planted.values())
    assert "plain" in forms(planted["one"]).values()


class FakeChannel:
    def __init__(self, pieces: list[bytes]) -> None:
        self.name = "fake"
        self.pieces = pieces

    def contents(self) -> Iterator[Any]:
        yield SimpleNamespace(where="here", chunks=self.pieces)


class FakeEngine:
    """As much of the Docker SDK's client as the channels use; a secret can be put anywhere."""

    def __init__(self) -> None:
        labels = {"Labels": {STACK_LABEL: STACK}}
        self.container: dict[str, Any] = {"Image": "sha256:0", "Config": {"Image": "img:1", "Env": ["A=b"]}}
        self.network: dict[str, Any] = dict(labels)
        self.volume: dict[str, Any] = dict(labels)
        self.image: dict[str, Any] = {"Config": {}}
        self.history: list[dict[str, Any]] = [{"CreatedBy": "COPY x"}]
        self.log = b"started\n"
        self.layer = {"etc/hosts": b"127.0.0.1 localhost\n"}
        self.compress = False

        def listed(item: Any) -> Callable[..., list[Any]]:
            def listing(*, filters: dict[str, str], **_: Any) -> list[Any]:
                assert filters == {"label": f"{STACK_LABEL}={STACK}"}
                return [item]

            return listing

        def thing(attributes: dict[str, Any], **more: Any) -> Any:
            return SimpleNamespace(attrs=attributes, name="thing", id="thing", reload=lambda: None, **more)

        container = thing(self.container, logs=lambda **_: iter([self.log]))
        image = SimpleNamespace(
            attrs=self.image, tags=["img:1"], id="sha256:1", history=lambda: self.history, save=self.save
        )
        self.containers = SimpleNamespace(list=listed(container))
        self.networks = SimpleNamespace(list=listed(thing(self.network)))
        self.volumes = SimpleNamespace(list=listed(thing(self.volume)))
        self.images = SimpleNamespace(get=lambda name: {"img:1": image}[name])

    def save(self, *, chunk_size: int) -> Iterator[bytes]:
        layer = archive(self.layer)
        blob = gzip.compress(layer[:100]) + gzip.compress(layer[100:]) if self.compress else layer
        data = archive({"blobs/sha256/ab": blob, "manifest.json": json.dumps(self.image).encode()})
        return (data[at : at + 1000] for at in range(0, len(data), min(chunk_size, 1000)))


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def docker_channels(engine: FakeEngine) -> tuple[Channel, ...]:
    client = cast("DockerClient", engine)
    return (
        channels.Inspections(client=client, stack=STACK),
        channels.ContainerLogs(client=client, stack=STACK),
        channels.ImageLayers(client=client, stack=STACK),
    )


def test_a_clean_engine_has_no_leaks() -> None:
    assert find_leaks(CANARIES, docker_channels(FakeEngine())) == []


@pytest.mark.parametrize(
    ("leak", "channel", "where"),
    [
        (lambda e, s: e.container["Config"].update(Env=[f"KEY={s}"]), "docker inspect", "container thing"),
        (lambda e, s: e.network.update(Options={"o": s}), "docker inspect", "network thing"),
        (lambda e, s: e.volume.update(Labels={"l": s}), "docker inspect", "volume thing"),
        (lambda e, s: e.history.append({"CreatedBy": f"ARG {s}"}), "docker inspect", "image img:1"),
        (lambda e, s: setattr(e, "log", f"uri postgres://u:{s}@h".encode()), "container logs", "container thing"),
        (lambda e, s: e.layer.update({"root/.env": s.encode()}), "image layers", "image img:1: blobs/sha256/ab"),
    ],
)
def test_a_secret_leaked_to_the_engine_is_found(
    leak: Callable[[FakeEngine, str], object], channel: str, where: str
) -> None:
    engine = FakeEngine()
    leak(engine, CANARIES["password"])

    assert find_leaks(CANARIES, docker_channels(engine)) == [
        Leak(channel=channel, where=where, canary="password", form="plain")
    ]


def test_a_secret_in_a_compressed_layer_is_found() -> None:
    engine = FakeEngine()
    engine.compress = True
    engine.layer["root/.env"] = CANARIES["apiKey"].encode()

    assert [leak.canary for leak in find_leaks(CANARIES, docker_channels(engine))] == ["apiKey"]


def test_a_layer_that_cannot_be_searched_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(sys.modules[__name__], "archive", zstd_inside(archive))

    with pytest.raises(ValueError, match="zstd"):
        find_leaks(CANARIES, docker_channels(engine)[2:])


def zstd_inside(real: Callable[[dict[str, bytes]], bytes]) -> Callable[[dict[str, bytes]], bytes]:
    return lambda files: real(dict.fromkeys(files, b"(\xb5/\xfd rest"))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_secret_in_a_file_is_found_anywhere_below_the_folder(tmp_path: Path, compressed: bool) -> None:
    data = f'{{"plain": "{CANARIES["password"]}"}}'.encode()
    path = tmp_path / "backend" / "history" / "dev.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(data) if compressed else data)
    (tmp_path / "backend" / "link").symlink_to(path)

    (leak,) = find_leaks(CANARIES, [channels.Files(name="state", roots=(tmp_path,))])

    assert (leak.where, leak.canary) == (str(path), "password")


def test_a_file_that_only_looks_compressed_is_searched_unchanged(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\x1f\x8b" + CANARIES["password"].encode())

    assert len(find_leaks(CANARIES, [channels.Files(name="logs", roots=(tmp_path / "odd",))])) == 1


@pytest.mark.parametrize(
    "channel", [channels.Text(name="x", text=""), channels.Files(name="x", roots=()), FakeChannel([])]
)
def test_a_channel_without_content_is_an_error(channel: Channel) -> None:
    if isinstance(channel, FakeChannel):
        channel.contents = lambda: iter(())  # type: ignore[method-assign]

    with pytest.raises(NothingToSearchError, match=channel.name):
        find_leaks(CANARIES, [channel])


def waiting(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a process with these arguments that prints a line and ends with its standard input."""
    code = "import sys; print(flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.readline()
    return process


needs_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")


@needs_proc
def test_a_secret_on_a_command_line_is_found_while_it_runs() -> None:
    planted = plant_canaries("password")
    with waiting(f"--password={planted['password']}") as process:
        now = find_leaks(planted, [channels.Processes()])
        process.communicate()

    assert [leak.where for leak in now] == [f"process {sys.executable}"]
    assert find_leaks(planted, [channels.Processes()]) == []


@needs_proc
def test_a_secret_on_a_command_line_is_found_later_if_it_was_watched() -> None:
    planted = plant_canaries("password")
    deadline = time.monotonic() + 30
    with channels.ProcessWatch(interval=0.01) as watch, waiting(planted["password"]) as process:
        while not find_leaks(planted, [watch]) and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        process.communicate()

    assert [leak.canary for leak in find_leaks(planted, [watch])] == ["password"]
