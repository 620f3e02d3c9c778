"""What is read from a file backend without starting Pulumi."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from operations.console.errors import OperationError
from operations.stack.backend import FileBackend, file_backend

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("file:///var/lib/backend", "/var/lib/backend"),
        ("file:///with%20space", "/with space"),
        ("s3://bucket", None),
        ("", None),
    ],
)
def test_only_a_file_url_is_a_folder(url: str, folder: str | None) -> None:
    found = file_backend({"PULUMI_BACKEND_URL": url})
    assert (str(found.folder) if found else None) == folder


def test_a_home_relative_backend_is_below_the_home() -> None:
    found = file_backend({"PULUMI_BACKEND_URL": "file://~"})
    assert found
    assert found.folder == Path.home()


def _backend(folder: Path, checkpoint: object) -> FileBackend:
    stacks = folder / ".pulumi" / "stacks" / "letta"
    stacks.mkdir(parents=True)
    (stacks / "dev.json").write_text(json.dumps({"version": 3, "checkpoint": checkpoint}))
    return FileBackend(folder)


def test_a_deployment_is_read_from_the_backends_file(tmp_path: Path) -> None:
    backend = _backend(tmp_path, {"latest": {"resources": []}})
    assert backend.stack_exists("letta", "dev")
    assert not backend.stack_exists("letta", "prod")
    assert backend.deployment("letta", "dev") == {"resources": []}
    assert backend.deployment("letta", "prod") == {}


def test_a_stack_that_was_never_deployed_has_an_empty_deployment(tmp_path: Path) -> None:
    assert _backend(tmp_path, {"stack": "dev"}).deployment("letta", "dev") == {}


def test_a_compressed_state_is_left_to_pulumi(tmp_path: Path) -> None:
    backend = _backend(tmp_path, {})
    file = tmp_path / ".pulumi/stacks/letta/dev.json"
    file.rename(file.with_name("dev.json.gz"))
    assert backend.stack_exists("letta", "dev")
    assert backend.deployment("letta", "dev") is None


def test_a_damaged_state_names_its_copy(tmp_path: Path) -> None:
    backend = _backend(tmp_path, {})
    (tmp_path / ".pulumi/stacks/letta/dev.json").write_text('{"checkpoint": ')
    with pytest.raises(OperationError, match="damaged") as raised:
        backend.deployment("letta", "dev")
    assert "dev.json.bak" in str(raised.value)


def _lock(backend: FileBackend, pid: int, host: str) -> None:
    folder = backend.folder / ".pulumi/locks/organization/letta/dev"
    folder.mkdir(parents=True, exist_ok=True)
    content = {"pid": pid, "hostname": host, "username": "ada", "timestamp": "2026-01-02T03:04:05.6Z"}
    (folder / f"{pid}.json").write_text(json.dumps(content))


def _gone() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_a_lock_of_a_gone_process_of_this_machine_is_stale(tmp_path: Path) -> None:
    backend, gone = FileBackend(tmp_path), _gone()
    assert backend.locks("letta", "dev") == ()
    _lock(backend, gone, socket.gethostname())
    _lock(backend, os.getpid(), socket.gethostname())
    assert {lock.pid: lock.is_stale for lock in backend.locks("letta", "dev")} == {gone: True, os.getpid(): False}


def test_nothing_is_known_of_processes_elsewhere_so_their_locks_are_not_stale(tmp_path: Path) -> None:
    _lock(FileBackend(tmp_path), _gone(), "another-machine")
    (lock,) = FileBackend(tmp_path).locks("letta", "dev")
    assert not lock.is_stale
