"""What is read without starting Pulumi: stack files, passphrases, the file backend, a deployment."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from operations.console.errors import OperationError
from operations.console.redaction import redacted
from operations.stack import decryption
from operations.stack.backend import FileBackend, file_backend
from operations.stack.checkout import Checkout, StackFile
from operations.stack.decryption import Decrypter, WrongPassphraseError
from operations.stack.state import StackState
from operations.stack.target import Target

pytestmark = pytest.mark.unit

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_MARK = "1b47061264138c4ac30d75fd1eb44270"


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million rounds are for attackers; the tests need none of them."""
    monkeypatch.setattr(decryption, "ROUNDS", 1000)


def _seal(phrase: str, salt: bytes, text: str) -> str:
    key = hashlib.pbkdf2_hmac("sha256", phrase.encode(), salt, decryption.ROUNDS, 32)
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, text.encode(), None)
    return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"


def _salted(phrase: str) -> tuple[str, bytes]:
    salt = b"eightbyt"
    return f"v1:{base64.b64encode(salt).decode()}:{_seal(phrase, salt, 'pulumi')}", salt


def _checkout(folder: Path, stack_file: str = "") -> Checkout:
    (folder / "Pulumi.yaml").write_text(
        "name: letta\nruntime: python\nconfig:\n"
        "  letta:apiPort: {type: integer, default: 8283}\n  letta:openaiApiKey: {description: x}\n"
    )
    (folder / "Pulumi.dev.yaml").write_text(stack_file)
    return Checkout(folder)


def test_a_stack_file_is_read_with_the_declared_defaults(tmp_path: Path) -> None:
    file = _checkout(tmp_path, "config:\n  letta:bindAddress: 0.0.0.0\n").stack_file("dev")
    assert (file.number("apiPort", 1), file.text("bindAddress", "x"), file.value("nothing")) == (
        8283,
        "0.0.0.0",  # noqa: S104
        None,
    )


def test_an_absent_stack_file_is_an_empty_one(tmp_path: Path) -> None:
    file = _checkout(tmp_path).stack_file("other")
    assert not file.exists
    assert file.number("apiPort", 1) == 8283


def test_numbers_written_as_text_count_and_other_text_does_not(tmp_path: Path) -> None:
    file = _checkout(tmp_path, 'config:\n  letta:apiPort: "9000"\n  letta:otlpGrpcPort: many\n').stack_file("dev")
    assert file.number("apiPort", 1) == 9000
    assert file.number("otlpGrpcPort", 4317) == 4317


def test_encrypted_values_are_found_in_objects_too(tmp_path: Path) -> None:
    text = "config:\n  letta:a: {secure: v1:x}\n  letta:b:\n    KEY: {secure: v1:y}\n    PLAIN: z\n"
    assert list(_checkout(tmp_path, text).stack_file("dev").ciphertexts()) == ["v1:x", "v1:y"]


def test_a_stack_file_that_is_no_yaml_is_named_with_its_line_and_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(OperationError) as raised:
        _checkout(tmp_path, "config:\n  letta:openaiApiKey: 'sk-verysecret\n").stack_file("dev")
    assert "Pulumi.dev.yaml:" in str(raised.value)
    assert "verysecret" not in str(raised.value)


def test_the_right_passphrase_opens_values_that_pulumi_sealed() -> None:
    encryption_salt, salt = _salted("right")
    assert Decrypter("right", encryption_salt).open(_seal("right", salt, "sk-1")) == "sk-1"


def test_a_salt_that_pulumi_itself_wrote_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written by `pulumi stack init` 3.259.0 with the passphrase `opstrial`."""
    monkeypatch.undo()
    salt = "v1:KgFVTCT5DiA=:v1:zD4qoE8daPxQdru2:N/EmbpwTNjsC4wwagodn2GHcNUnkSg=="
    assert Decrypter("opstrial", salt)


def test_a_wrong_passphrase_is_told_at_once() -> None:
    with pytest.raises(WrongPassphraseError):
        Decrypter("wrong", _salted("right")[0])


def test_the_secrets_of_a_stack_file_are_hidden_from_output(tmp_path: Path) -> None:
    encryption_salt, salt = _salted("right")
    sealed = _seal("right", salt, "sk-12345")
    text = f"encryptionsalt: {encryption_salt}\nconfig:\n  letta:a: {{secure: '{sealed}'}}\n"
    environment = {"PULUMI_CONFIG_PASSPHRASE": "right"}
    Target(stack="dev", environment=environment, checkout=_checkout(tmp_path, text)).hide_secrets()
    assert redacted("the key is sk-12345") == "the key is [secret]"


def test_the_error_of_a_foreign_salt_names_file_passphrase_and_the_ways_out(tmp_path: Path) -> None:
    encryption_salt, _ = _salted("somebody-else")
    file = _checkout(tmp_path, f"config: {{}}\nencryptionsalt: {encryption_salt}\n").stack_file("dev")
    mine = tmp_path / "passphrase"
    mine.write_text("mine\n")
    with pytest.raises(OperationError) as raised:
        decryption.decrypter(file, {"PULUMI_CONFIG_PASSPHRASE_FILE": str(mine)})
    words = str(raised.value)
    assert "Pulumi.dev.yaml was salted with another passphrase" in words
    assert str(mine) in words
    assert "remove the line `encryptionsalt:`" in words
    assert "PULUMI_CONFIG_PASSPHRASE_FILE=" in words
    assert "mine\n" not in words


def test_a_foreign_salt_over_secrets_says_that_they_are_lost(tmp_path: Path) -> None:
    text = f"config:\n  letta:openaiApiKey: {{secure: v1:x:y}}\nencryptionsalt: {_salted('other')[0]}\n"
    with pytest.raises(OperationError, match="set its secrets again"):
        decryption.decrypter(_checkout(tmp_path, text).stack_file("dev"), {"PULUMI_CONFIG_PASSPHRASE": "mine"})


def test_the_passphrase_variable_goes_before_the_file_as_with_pulumi(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("from the file\n")
    environment = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}
    assert decryption.configured(environment) == "from the file"
    assert decryption.configured({**environment, "PULUMI_CONFIG_PASSPHRASE": ""}) == ""
    assert decryption.configured({}) is None


def test_a_passphrase_file_that_is_gone_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="cannot be read"):
        decryption.configured({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "gone")})


def test_another_secrets_provider_is_left_to_pulumi(tmp_path: Path) -> None:
    file = StackFile(
        stack="dev",
        path=tmp_path / "Pulumi.dev.yaml",
        config={},
        defaults={},
        encryption_salt="v1:x:y",
        secrets_provider="awskms://alias/x",
    )
    assert decryption.decrypter(file, {"PULUMI_CONFIG_PASSPHRASE": "x"}) is None


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


def test_a_damaged_state_names_the_copy_beside_it(tmp_path: Path) -> None:
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


def _resource(kind: str, name: str, **more: object) -> dict[str, object]:
    return {"urn": f"urn:pulumi:dev::letta::{kind}::{name}", "type": kind, "custom": True, **more}


STATE = StackState(
    {
        "resources": [
            _resource(
                "pulumi:pulumi:Stack",
                "letta-dev",
                custom=False,
                outputs={"apiUrl": "http://x", "serverPassword": {SIGNATURE: SECRET_MARK, "ciphertext": "v1:…"}},
            ),
            _resource("docker:index/container:Container", "server", id="c1"),
            _resource("docker:index/remoteImage:RemoteImage", "letta", id="i1", outputs={"name": "x:1"}),
            _resource(
                "docker:index/remoteImage:RemoteImage", "old", id="i2", delete=True, outputs={"name": "x:0"}
            ),
            _resource(
                "docker:index/volume:Volume", "data", id="v", protect=True, outputs={"name": "letta-dev-data"}
            ),
        ],
        "pending_operations": [
            {
                "type": "creating",
                "resource": _resource(
                    "docker:index/container:Container", "nginx", inputs={"name": "letta-dev-nginx-1"}
                ),
            },
            {"type": "deleting", "resource": _resource("docker:index/container:Container", "old")},
        ],
    }
)


def test_a_state_tells_containers_images_volumes_and_what_is_protected() -> None:
    assert STATE.container_ids == {"c1"}
    assert [urn.rpartition("::")[2] for urn in STATE.images] == ["letta"]
    assert STATE.volume_names == {"letta-dev-data"}
    assert STATE.protected == ("data",)
    assert not STATE.is_empty
    assert StackState({}).is_empty


def test_a_state_tells_what_an_interrupted_update_was_creating() -> None:
    assert STATE.pending_names == {"letta-dev-nginx-1"}
    assert len(STATE.pending) == 1


def test_secret_outputs_are_there_without_their_value() -> None:
    assert STATE.outputs == {"apiUrl": "http://x", "serverPassword": None}


def test_an_export_with_secrets_gives_every_secret_text_in_it() -> None:
    secret = {SIGNATURE: SECRET_MARK, "plaintext": json.dumps({"A": "s1", "B": ["s2"]})}
    state = StackState({"resources": [_resource("x", "y", inputs={"files": [secret]}, outputs={"plain": "p"})]})
    assert set(state.secret_values()) == {"s1", "s2"}
