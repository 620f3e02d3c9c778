"""What is shown of image builds that failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from operations.deploy.build_logs import report_failed

pytestmark = pytest.mark.unit

FAILED = """#7 [3/7] RUN make
#7 0.9 no rule
#7 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2
"""


def test_the_end_of_a_failed_builds_log_is_shown_with_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "redis.log").write_text(FAILED)
    assert report_failed(tmp_path, since=0, lines=2) == 1
    shown = capsys.readouterr().out.splitlines()
    assert f"the build of image redis failed (full log: {tmp_path / 'redis.log'}). Its last lines:" in shown
    assert [line.strip() for line in shown[-2:]] == FAILED.splitlines()[-2:]


def test_builds_that_worked_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "redis.log").write_text("#7 [3/7] RUN make\n#7 DONE 0.9s\n")
    assert report_failed(tmp_path, since=0, lines=2) == 0
    assert capsys.readouterr().out == ""


def test_logs_of_earlier_runs_are_not_shown(tmp_path: Path) -> None:
    log = tmp_path / "redis.log"
    log.write_text(FAILED)
    os.utime(log, (1000, 1000))
    assert report_failed(tmp_path, since=1001, lines=2) == 0


def test_a_folder_that_no_build_has_made_yet_is_no_error(tmp_path: Path) -> None:
    assert report_failed(tmp_path / "build", since=0, lines=2) == 0
