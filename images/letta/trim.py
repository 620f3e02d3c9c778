"""Takes out of a virtual environment what a running server never reads, and says how much each rule saved.

Run by the image build, in the builder stage: `trim.py ENVIRONMENT`. What is taken out is decided by the rules
below and nothing else; the builder then imports the server, and the engine tier every module of it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One reason to delete files: a sentence, and a function from site-packages to the paths."""

    reason: str
    paths: Callable[[Path], Iterator[Path]]


def _globs(*patterns: str) -> Callable[[Path], Iterator[Path]]:
    def find(packages: Path) -> Iterator[Path]:
        for pattern in patterns:
            yield from packages.glob(pattern)

    return find


def _suffixes(*suffixes: str) -> Callable[[Path], Iterator[Path]]:
    def find(packages: Path) -> Iterator[Path]:
        return (path for path in packages.rglob("*") if path.name.endswith(suffixes) and path.is_file())

    return find


def _test_folders(packages: Path) -> Iterator[Path]:
    return (path for name in ("tests", "test") for path in packages.glob(f"*/**/{name}") if path.is_dir())


def _other_languages(packages: Path) -> Iterator[Path]:
    # Text extraction asks babel about languages by code; English and the root are what it asks for at import.
    for path in packages.glob("babel/locale-data/*.dat"):
        if path.stem not in {"root", "en", "en_US", "en_001"}:
            yield path


def _programs(packages: Path) -> Iterator[Path]:
    keep = {"python", "python3", "python3.13", "letta", "alembic"}
    return (path for path in (packages.parents[2] / "bin").iterdir() if path.name not in keep)


RULES = (
    Rule(reason="tests of libraries", paths=_test_folders),
    Rule(reason="type stubs", paths=_suffixes(".pyi", ".pyi.in")),
    Rule(
        reason="sources and headers of compiled modules",
        paths=_suffixes(".c", ".cc", ".cpp", ".h", ".hpp", ".pxd", ".pyx", ".pxi", ".a", ".f", ".f90", ".rs"),
    ),
    Rule(reason="programs of other platforms", paths=_suffixes(".exe", ".dll", ".dylib")),
    Rule(reason="console programs of libraries", paths=_programs),
    Rule(reason="languages of babel", paths=_other_languages),
    Rule(reason="a second, packed copy of sentence data", paths=_globs("llama_index/core/_static/**/*.zip")),
    Rule(
        reason="tools for authors of models and extensions",
        paths=_globs(
            "onnxruntime/transformers",
            "onnxruntime/quantization",
            "onnxruntime/tools",
            "onnxruntime/datasets",
            "numpy/f2py",
            "numpy/random/_examples",
            "numpy/_core/include",
            "nltk/app",
            "nltk/chat",
            "jedi/third_party/django-stubs",
            "_pytest",
            "setuptools/_distutils/command/wininst*",
        ),
    ),
    Rule(reason="lists of installed files", paths=_globs("*.dist-info/RECORD", "*.dist-info/INSTALLER")),
    Rule(reason="licences of bundled parts, as long as books", paths=_globs("onnxruntime/ThirdPartyNotices.txt")),
)


def _size(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(entry.lstat().st_size for entry in path.rglob("*"))
    return path.lstat().st_size


def _delete(path: Path) -> int:
    if not path.exists() and not path.is_symlink():
        return 0
    size = _size(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    return size


def _strip(packages: Path) -> int:
    saved = 0
    for path in sorted(packages.rglob("*.so*")):
        # Libraries that auditwheel moved and patched (`numpy.libs`...) come stripped, and do not survive it twice.
        if path.is_symlink() or not path.is_file() or any(part.endswith(".libs") for part in path.parts):
            continue
        before = path.stat().st_size
        subprocess.run(["/usr/bin/strip", "--strip-unneeded", str(path)], check=True)
        saved += before - path.stat().st_size
    return saved


def main(environment: Path) -> None:
    """Applies every rule to the virtual environment and prints a table of what each one saved."""
    (packages,) = environment.glob("lib/python3.*/site-packages")
    for rule in RULES:
        saved = sum(_delete(path) for path in list(rule.paths(packages)))
        sys.stdout.write(f"{saved / 1e6:8.1f} MB  {rule.reason}\n")
    sys.stdout.write(f"{_strip(packages) / 1e6:8.1f} MB  symbols of compiled modules\n")
    sys.stdout.write(f"{_size(environment) / 1e6:8.1f} MB  left\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
