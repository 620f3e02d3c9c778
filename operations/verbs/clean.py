"""`make clean`: removes what can be recreated (tools, images, build cache), never data and never state."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import catalogue
from operations.console import terminal
from operations.engine.protocol import BuildRecord, Container, Engine, Image
from toolchain import locations
from toolchain.cache_folder import Cleared, clear

_RUN = re.compile(r"\s*RUN\s+((?:--\S+\s+)*)(.*)", re.IGNORECASE)
_TELLING_LENGTH = 60


def unused_images(images: Collection[Image], containers: Collection[Container]) -> tuple[Image, ...]:
    """Return our images that no container, running or not, was created from."""
    used = {container.image_id for container in containers}
    return tuple(image for image in images if image.ours and image.id not in used)


def build_commands(images: Path) -> tuple[str, ...]:
    """Return the beginnings of the commands that our images' builds run, which identify their build cache."""
    found = set()
    for dockerfile in images.glob("*/Dockerfile"):
        joined = dockerfile.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in joined.splitlines():
            match = _RUN.match(line)
            if match:
                found.add(_beginning(match[2]))
    return tuple(sorted(found))


def _beginning(command: str) -> str:
    return " ".join(command.split())[:_TELLING_LENGTH].rstrip()


def our_records(records: Sequence[BuildRecord], commands: Collection[str]) -> tuple[BuildRecord, ...]:
    """Return the records of the build cache that our images' builds created.

    The engine does not label them. Ours are those of our commands, those built on them, and those on which nothing
    else is built.
    """
    by_parent: dict[str, set[str]] = {}
    for record in records:
        for parent in record.parents:
            by_parent.setdefault(parent, set()).add(record.id)
    ours = {record.id for record in records if _is_of(record.description, commands)}
    grown = bool(ours)
    while grown:
        more = {
            record.id
            for record in records
            if record.id not in ours
            and (ours & set(record.parents) or (by_parent.get(record.id) and by_parent[record.id] <= ours))
        }
        ours |= more
        grown = bool(more)
    return tuple(record for record in records if record.id in ours and not record.in_use)


def _is_of(description: str, commands: Collection[str]) -> bool:
    _, found, command = description.partition("/bin/sh -c ")
    return bool(found) and any(_beginning(command).startswith(known) for known in commands)


@dataclass(frozen=True, kw_only=True, slots=True)
class Freed:
    """What was removed."""

    what: str
    size: int


def _tagged(entry: Path) -> bool:
    """Whether the folder that holds the entry is marked as a cache, as mypy, ruff and pytest mark theirs."""
    return (entry.parent / "CACHEDIR.TAG").is_file()


_IN_CHECKOUT: Mapping[str, Callable[[Path], bool]] = {
    ".mypy_cache": _tagged,
    ".ruff_cache": _tagged,
    ".pytest_cache": _tagged,
    ".hypothesis": lambda entry: entry.name in {"constants", "examples", "patches", "tmp", "unicode_data"},
    "build": lambda entry: entry.name == "ca.pem" or entry.suffix == ".log",
}
"""Folders of the checkout, and what in them may be removed."""


def _bytecode(checkout: Path) -> Iterator[Path]:
    return (folder for folder in checkout.rglob("__pycache__") if ".venv" not in folder.parts)


def clean_checkout(checkout: Path) -> Cleared:
    """Remove caches of the tools that people run in a checkout; what is not theirs stays."""
    found = [clear(checkout / name, is_ours) for name, is_ours in _IN_CHECKOUT.items()]
    found += [clear(folder, lambda entry: entry.suffix == ".pyc") for folder in _bytecode(checkout)]
    return Cleared(size=sum(one.size for one in found), kept=tuple(path for one in found for path in one.kept))


def clean_engine(engine: Engine) -> tuple[Freed, ...]:
    """Remove our unused images and our build cache from the engine."""
    freed = []
    for image in unused_images(engine.images(), engine.containers()):
        engine.remove_image(image.id)
        freed.append(Freed(what=f"image {', '.join(image.tags) or image.id[7:19]}", size=image.size))
    records = our_records(engine.build_records(), build_commands(locations.ROOT / "images"))
    if records:
        gained = engine.prune_build_records([record.id for record in records])
        freed.append(Freed(what=f"build cache ({len(records)} records)", size=gained))
    return tuple(freed)


def clean(engine: Engine | None) -> None:
    """Remove caches and show how large they were."""
    folder = locations.cache_home()
    cleared = {str(folder): clear(folder), "caches in the checkout": clean_checkout(locations.ROOT)}
    freed = tuple(Freed(what=what, size=one.size) for what, one in cleared.items() if one.size)
    if engine:
        freed += clean_engine(engine)
    else:
        terminal.say("no Docker engine answers: its images and build cache were not removed")
    terminal.table("removed", ("what", "size"), [(one.what, terminal.size(one.size)) for one in freed])
    for one in cleared.values():
        for path in one.kept:
            terminal.say(f"kept, because this project did not make it: {path}")
    terminal.say("data volumes and the state of stacks were not touched; `make down` removes a stack")
    if engine and any(container.stack for container in engine.containers()):
        terminal.say(f"images of stacks that are up were kept ({catalogue.IMAGE_PREFIX}…)")
