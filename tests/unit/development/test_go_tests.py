"""The Go tests' runner, with a Go that is a script."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import otel
from development import go_tests
from toolchain import go_modules
from toolchain.errors import StepFailedError
from toolchain.progress import Progress

pytestmark = pytest.mark.unit


class World:
    """A Go in a folder of its own, which fails at the chosen commands."""

    def __init__(self, folder: Path) -> None:
        self.go, self._gofmt, self._calls = folder / "bin/go", folder / "bin/gofmt", folder / "calls"
        self.go.parent.mkdir()
        self.environ = {"HOME": str(folder), "PATH": os.environ["PATH"]}
        self._progress = Progress(lambda _: None, logs=folder / "logs", heartbeat=60)
        self.prepare()

    def prepare(self, *, unformatted: str = "", fails: str = "nothing") -> None:
        self._script(
            self.go,
            f'[ "$1" = env ] && exec echo {self.go.parents[1]}',
            f'echo "$1 $PWD" >> {self._calls}',
            f'[ "$1" != {fails} ] || {{ echo --- FAIL: TestOfGo; exit 1; }}',
        )
        self._script(self._gofmt, f"echo {unformatted}")

    def run(self) -> None:
        go_tests.run(self._progress, self.environ)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    @staticmethod
    def _script(path: Path, *lines: str) -> None:
        path.write_text("\n".join(("#!/bin/sh", *lines, "")))
        path.chmod(0o755)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(go_modules, "find_go", lambda *_: made.go)
    return made


def test_each_module_is_vetted_and_tested(world: World) -> None:
    world.run()

    assert world.calls == [f"{verb} {folder}" for folder in go_tests.modules() for verb in ("vet", "test")]


def test_the_modules_are_the_programs_of_jobs_and_each_version() -> None:
    names = {path.relative_to(go_tests.COLLECTOR).as_posix() for path in go_tests.modules()}

    assert names == {".", *(f"distribution/{version}" for version in otel.VERSIONS)}


@pytest.mark.parametrize("verb", ["vet", "test"])
def test_what_fails_fails_the_run_with_its_last_words(world: World, verb: str) -> None:
    world.prepare(fails=verb)

    with pytest.raises(StepFailedError, match="FAIL: TestOfGo"):
        world.run()


def test_a_file_that_is_not_formatted_is_named_with_the_command_that_formats_it(world: World) -> None:
    world.prepare(unformatted="disk.go")

    with pytest.raises(StepFailedError, match=r"not formatted: disk\.go") as caught:
        world.run()

    assert caught.value.fix == (f"{world.go.parents[1]}/bin/gofmt -w disk.go",)
    assert world.calls == []
