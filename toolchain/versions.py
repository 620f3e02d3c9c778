"""Reads `versions.toml`, the one file with the version of each tool."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
FILE = FOLDER / "versions.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Binary:
    """A program that can be built from Go modules."""

    output: str
    source: Path
    """Folder with its go.mod and go.sum."""
    package: str
    tags: str = ""
    ldflags: str = ""
    scripts_module: str = ""
    """Module among its dependencies that holds `scripts`."""
    scripts: tuple[str, ...] = ()
    """Files installed next to the program; paths in that module."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """A Pulumi plugin."""

    kind: str
    name: str
    version: str
    binary: str
    """`output` of the binary that it consists of when it is built on this machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Versions:
    """The content of `versions.toml`."""

    pulumi: str
    go_minimum: tuple[int, ...]
    go_lock: Path
    """Lock file, with hashes, of the Python package that contains Go."""
    binaries: tuple[Binary, ...]
    plugins: tuple[Plugin, ...]


def read() -> Versions:
    """Read the file; its paths are relative to this folder."""
    raw = tomllib.loads(FILE.read_text(encoding="utf-8"))
    folder = FILE.parent
    return Versions(
        pulumi=raw["pulumi"]["version"],
        go_minimum=version_numbers(raw["go"]["minimum"]),
        go_lock=folder / raw["go"]["lock"],
        binaries=tuple(
            Binary(**{**one, "source": folder / one["source"], "scripts": tuple(one.get("scripts", ()))})
            for one in raw["binary"]
        ),
        plugins=tuple(Plugin(**one) for one in raw["plugin"]),
    )


def version_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, `1.26.3` → (1, 26, 3), without any suffix."""
    numbers = []
    for part in text.removeprefix("v").split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
