"""The log file of a run."""

from __future__ import annotations

import pytest

from operations.console.run_log import run_log
from toolchain import locations

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("own_folders")]


def test_the_log_of_a_run_is_named_and_readable_for_its_owner_only(capsys: pytest.CaptureFixture[str]) -> None:
    with run_log("up", "dev") as log:
        log.write("a line\n")
    (path,) = locations.logs().iterdir()
    assert path.read_text() == "a line\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"(log: {path})" in capsys.readouterr().out
