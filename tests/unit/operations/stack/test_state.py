"""What a deployment says about what exists."""

from __future__ import annotations

import json

import pytest

from operations.stack.state import StackState

pytestmark = pytest.mark.unit

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_MARK = "1b47061264138c4ac30d75fd1eb44270"


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
