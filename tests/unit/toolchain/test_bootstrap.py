"""The script that creates .venv: silent when it is current, and clear about what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

DEPLOYING, TESTING = "requirements.lock", "requirements-dev.lock"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a checkout with the script and two locks: uv alone, and uv with one more package for tests."""
    (tmp_path / "toolchain").mkdir()
    shutil.copy(ROOT / "toolchain" / "bootstrap.sh", tmp_path / "toolchain")
    write_locks(tmp_path, "0")
    return tmp_path


def write_locks(clone: Path, version: str) -> None:
    uv = f"uv=={version} \\\n    --hash=sha256:00\n"
    (clone / DEPLOYING).write_text(uv)
    (clone / TESTING).write_text(f"pytest==0 \\\n    --hash=sha256:00\n{uv}")


def bootstrap(clone: Path, *lock: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "toolchain" / "bootstrap.sh", *lock],
        env={**os.environ, "LETTA_NO_SYSTEM_PACKAGES": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def finish(clone: Path, lock: str = DEPLOYING) -> None:
    """Create what a successful run of the script leaves behind."""
    folder = clone / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").symlink_to(sys.executable)
    shutil.copy(clone / lock, clone / ".venv" / f".{lock}")
    (clone / ".venv" / ".made-for").write_text(f"{clone.resolve()}\n")


def python_without_ensurepip(folder: Path) -> str:
    program = folder / "python-of-debian"
    program.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize("lock", [(DEPLOYING,), (TESTING,), ()], ids=["deploying", "testing", "unnamed"])
def test_a_current_environment_is_kept_without_output(clone: Path, lock: tuple[str, ...]) -> None:
    finish(clone, *lock)
    done = bootstrap(clone, *lock, LETTA_PYTHON="no-such-python")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_environment_for_tests_also_serves_for_deploying(clone: Path) -> None:
    finish(clone, TESTING)
    done = bootstrap(clone, LETTA_PYTHON="no-such-python")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def python_without_network(folder: Path) -> str:
    """Return a Python that creates a .venv from itself alone, and whose pip fails."""
    program = folder / "python-without-network"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;\n'
        '  *"pip install"*) echo "no route to host" >&2; exit 1 ;;\n'
        '  "-c import os"*) shift 2; exec "$@" ;;\n'
        "esac\n"
    )
    program.chmod(0o755)
    return str(program)


def spoil_lock(clone: Path) -> None:
    (clone / ".venv" / f".{DEPLOYING}").unlink()
    (clone / ".venv" / "bin" / "python").unlink()


def leave_incomplete(clone: Path) -> None:
    (clone / ".venv" / ".making").touch()


def move_elsewhere(clone: Path) -> None:
    (clone / ".venv" / ".made-for").write_text("/somewhere/else\n")


def lose_python(clone: Path) -> None:
    (clone / ".venv" / "bin" / "python").unlink()
    (clone / ".venv" / "bin" / "python").symlink_to("/nonexistent/python")


@pytest.mark.parametrize("spoil", [spoil_lock, leave_incomplete, move_elsewhere, lose_python])
def test_an_environment_that_is_incomplete_moved_or_without_its_python_is_created_again(
    clone: Path, spoil: object
) -> None:
    finish(clone)
    assert callable(spoil)
    spoil(clone)
    done = bootstrap(clone, LETTA_PYTHON="no-such-python")
    assert done.returncode == 1
    assert "creating it again" in done.stderr


def put_python(clone: Path, program: str) -> None:
    """Put a stand-in for Python into the .venv."""
    python = clone / ".venv" / "bin" / "python"
    python.unlink()
    shutil.copy(program, python)


def python_that_installs(folder: Path) -> str:
    """Return a Python that prints which lock it should install, and installs nothing."""
    program = folder / "python-that-installs"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '  "-m uv pip sync "*) for last in "$@"; do :; done; echo "synced $last" ;;\n'
        '  "-c import os"*) shift 2; exec "$@" ;;\n'
        "esac\n"
    )
    program.chmod(0o755)
    return str(program)


def test_a_changed_lock_is_installed_into_the_existing_environment(clone: Path) -> None:
    finish(clone)
    put_python(clone, python_without_network(clone))
    write_locks(clone, "1")
    done = bootstrap(clone, LETTA_PYTHON="no-such-python")
    assert "installing uv" in done.stderr
    assert "creating it" not in done.stderr
    assert (clone / ".venv" / ".uv.lock").read_text() == (clone / DEPLOYING).read_text()


def test_the_packages_for_tests_are_installed_once(clone: Path) -> None:
    finish(clone)
    put_python(clone, python_that_installs(clone))
    assert f"synced {TESTING}" in bootstrap(clone, TESTING).stderr
    assert [bootstrap(clone, *lock).stderr for lock in ((), (TESTING,), (DEPLOYING,))] == ["", "", ""]


def test_an_environment_for_tests_keeps_their_packages_when_the_locks_change(clone: Path) -> None:
    finish(clone, TESTING)
    put_python(clone, python_that_installs(clone))
    write_locks(clone, "1")
    assert f"synced {TESTING}" in bootstrap(clone).stderr
    assert bootstrap(clone, TESTING).stderr == ""


def test_without_any_python_the_message_says_what_to_install(clone: Path) -> None:
    done = bootstrap(clone, LETTA_PYTHON="no-such-python")
    assert done.returncode == 1
    assert "no Python 3.11 or newer was found" in done.stderr
    assert "do:    " in done.stderr
    assert done.stdout == ""
    assert not (clone / ".venv").exists()


@pytest.mark.skipif(not shutil.which("apt-get"), reason="only where packages are Debian's")
def test_debians_python_without_ensurepip_is_recognised_and_nothing_is_installed_where_that_is_refused(
    clone: Path,
) -> None:
    done = bootstrap(clone, LETTA_PYTHON=python_without_ensurepip(clone))
    assert done.returncode == 1
    assert "ensurepip" in done.stderr
    assert "LETTA_NO_SYSTEM_PACKAGES is set" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_the_environment_of_a_failed_run_is_created_again(clone: Path) -> None:
    first = bootstrap(clone, LETTA_PYTHON=python_without_network(clone))
    assert first.returncode == 1
    assert "no route to host" in first.stderr
    assert "uv cannot be installed" in first.stderr
    assert (clone / ".venv" / ".making").exists()
    assert "creating it again" in bootstrap(clone, LETTA_PYTHON="no-such-python").stderr


@pytest.mark.parametrize(
    ("files", "removed"),
    [
        ((), True),
        (("pyvenv.cfg", "bin/python"), True),
        ((".making",), True),
        ((".made-for", "bin/python"), True),
        (("notes.txt",), False),
        (("bin/my-tool", ".bashrc"), False),
    ],
    ids=["empty", "an environment", "begun", "finished", "a file", "tools"],
)
def test_only_a_python_environment_is_removed(clone: Path, files: tuple[str, ...], removed: bool) -> None:
    (clone / ".venv").mkdir()
    for name in files:
        path = clone / ".venv" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    done = bootstrap(clone, "--remove")
    assert (clone / ".venv").exists() is not removed
    assert done.returncode == (0 if removed else 1)
    assert ("is not a Python environment" in done.stderr) is not removed


def test_of_a_linked_environment_only_the_link_is_removed(clone: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "pyvenv.cfg").touch()
    (clone / ".venv").symlink_to(elsewhere)
    assert bootstrap(clone, "--remove").returncode == 0
    assert not (clone / ".venv").is_symlink()
    assert (elsewhere / "pyvenv.cfg").exists()


def test_an_environment_is_not_made_in_place_of_something_else(clone: Path) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv" / "notes.txt").touch()
    done = bootstrap(clone)
    assert done.returncode == 1
    assert "is left as it is" in done.stderr
    assert (clone / ".venv" / "notes.txt").exists()
