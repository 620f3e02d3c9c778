"""The shell lines of `make env`."""

from __future__ import annotations

import subprocess

import pytest

from operations.verbs.env import exports

pytestmark = pytest.mark.unit


def test_exports_survive_a_shell_whatever_is_in_them() -> None:
    awkward = 'it\'s $HOME `id` "x"\nsecond line'
    lines = exports({"AWKWARD": awkward, "SAME": "1"}, {"SAME": "1"})
    assert "SAME" not in lines
    done = subprocess.run(
        ["bash", "-c", f'{lines}\nprintf %s "$AWKWARD"'], capture_output=True, text=True, check=True
    )
    assert done.stdout == awkward
