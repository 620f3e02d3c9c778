"""What a shell gets: programs, the embedded state and its passphrase; nothing replaces what the user has set."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolchain import docker_endpoint, passphrase, pulumi
from toolchain.environment import shell_environment
from toolchain.errors import StepFailedError
from toolchain.install_method import InstallMethod
from toolchain.progress import Progress
from toolchain.pulumi import Installation

pytestmark = pytest.mark.unit


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / ".local" / "state" / "letta-platform"


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def install(method: InstallMethod, environ: dict[str, str]) -> Installation:
    """Put an installation into the cache."""

    def fill(folder: Path) -> None:
        (folder / "bin").mkdir()
        (folder / "bin" / "pulumi").write_text("#!/bin/sh\n")

    found = pulumi.installation(method, environ)
    found.entry.make(fill, Progress(lambda _: None))
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- programs ------------------------------------------------------------------------------------------------


def test_a_build_from_go_modules_has_its_own_plugins_and_keeps_the_users_logins(
    environ: dict[str, str],
) -> None:
    found = install(InstallMethod.GO, environ)
    given = shell_environment(environ)
    first, second, *others = given["PATH"].split(":")
    assert first == str(found.programs)
    assert second.endswith("/.venv/bin")
    assert others == ["/usr/bin", "/bin"]
    assert given["PULUMI_HOME"] == str(found.entry.folder / "home")
    assert given["PULUMI_CREDENTIALS_PATH"] == f"{environ['HOME']}/.pulumi"
    assert given["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert given["PULUMI_SKIP_UPDATE_CHECK"] == "true"


def test_the_official_release_keeps_its_plugins_where_pulumi_always_does(environ: dict[str, str]) -> None:
    install(InstallMethod.GO, environ)
    found = install(InstallMethod.OFFICIAL, environ)
    given = shell_environment(environ)
    assert given["PATH"].startswith(f"{found.programs}:")
    assert "PULUMI_HOME" not in given
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in given


def test_a_damaged_installation_is_not_put_on_the_path(environ: dict[str, str]) -> None:
    found = install(InstallMethod.GO, environ)
    (found.programs / "pulumi").write_text("")
    assert str(found.programs) not in shell_environment(environ)["PATH"]


def test_a_second_call_adds_nothing(environ: dict[str, str]) -> None:
    install(InstallMethod.GO, environ)
    once = shell_environment(environ)
    twice = shell_environment({**environ, **once})
    assert twice["PATH"] == once["PATH"]
    assert {**environ, **once, **twice} == {**environ, **once}


def test_the_path_entry_of_an_older_toolchain_is_removed(environ: dict[str, str], tmp_path: Path) -> None:
    install(InstallMethod.GO, environ)
    old = tmp_path / ".cache" / "letta-platform" / "toolchain-old" / "bin"
    assert str(old) not in shell_environment({**environ, "PATH": f"{old}:/bin"})["PATH"]


# -- state ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("open_umask")
def test_the_state_and_its_passphrase_are_private_whatever_the_umask(environ: dict[str, str], state: Path) -> None:
    given = shell_environment(environ)
    assert given["PULUMI_BACKEND_URL"] == f"file://{state}/backend"
    assert given["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{state}/passphrase"
    assert (mode(state), mode(state / "backend"), mode(state / "passphrase")) == (0o700, 0o700, 0o600)
    assert len((state / "passphrase").read_text().strip()) >= 43  # 256 bits in base64
    assert sorted(path.name for path in state.iterdir()) == ["backend", "passphrase"]


def test_the_passphrase_stays_the_same(environ: dict[str, str], state: Path) -> None:
    shell_environment(environ)
    before = (state / "passphrase").read_text()
    shell_environment(environ)
    assert (state / "passphrase").read_text() == before


def test_two_homes_have_different_passphrases(environ: dict[str, str], state: Path, tmp_path: Path) -> None:
    shell_environment(environ)
    shell_environment({**environ, "XDG_STATE_HOME": str(tmp_path / "other")})
    other = tmp_path / "other" / "letta-platform" / "passphrase"
    assert (state / "passphrase").read_text() != other.read_text()


def test_concurrent_calls_agree_on_one_passphrase(tmp_path: Path) -> None:
    file, start, seen = tmp_path / "passphrase", threading.Barrier(8), []

    def run() -> None:
        start.wait()
        passphrase.ensure(file, backend=tmp_path / "backend")
        seen.append(file.read_text())

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["passphrase"]


@pytest.mark.parametrize("rights", [0o644, 0o640, 0o620, 0o604])
def test_a_passphrase_that_others_can_read_is_refused(environ: dict[str, str], state: Path, rights: int) -> None:
    shell_environment(environ)
    (state / "passphrase").chmod(rights)
    with pytest.raises(StepFailedError, match="by others") as caught:
        shell_environment(environ)
    assert caught.value.fix[0] == f"chmod 600 {state}/passphrase"


def test_an_empty_passphrase_is_refused(environ: dict[str, str], state: Path) -> None:
    shell_environment(environ)
    (state / "passphrase").write_text("")
    with pytest.raises(StepFailedError, match="is empty"):
        shell_environment(environ)


def test_a_lost_passphrase_is_not_replaced_while_stacks_need_it(environ: dict[str, str], state: Path) -> None:
    shell_environment(environ)
    stacks = state / "backend" / ".pulumi" / "stacks" / "letta"
    stacks.mkdir(parents=True)
    (stacks / "dev.json").write_text("{}")
    (state / "passphrase").unlink()
    with pytest.raises(StepFailedError, match="is gone") as caught:
        shell_environment(environ)
    assert "dev" in caught.value.problem
    assert not (state / "passphrase").exists()


@pytest.mark.parametrize("variable", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_a_passphrase_that_the_user_set_is_kept(environ: dict[str, str], state: Path, variable: str) -> None:
    given = shell_environment({**environ, variable: "/theirs"})
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in given
    assert not (state / "passphrase").exists()


def test_an_empty_passphrase_that_the_user_set_is_kept(environ: dict[str, str]) -> None:
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in shell_environment({**environ, "PULUMI_CONFIG_PASSPHRASE": ""})


@pytest.mark.parametrize("url", ["https://api.pulumi.test", "s3://states", "postgres://host/db"])
def test_no_passphrase_is_generated_for_a_shared_backend(environ: dict[str, str], state: Path, url: str) -> None:
    given = shell_environment({**environ, "PULUMI_BACKEND_URL": url})
    assert "PULUMI_BACKEND_URL" not in given
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in given
    assert not state.exists()


def test_a_backend_in_another_folder_gets_a_generated_passphrase(
    environ: dict[str, str], state: Path, tmp_path: Path
) -> None:
    given = shell_environment({**environ, "PULUMI_BACKEND_URL": f"file://{tmp_path}/elsewhere"})
    assert "PULUMI_BACKEND_URL" not in given
    assert given["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{state}/passphrase"


def test_the_endpoint_of_another_engine_is_exported(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_endpoint, "variable", lambda _: "unix:///elsewhere.sock")
    assert shell_environment(environ)["DOCKER_HOST"] == "unix:///elsewhere.sock"
