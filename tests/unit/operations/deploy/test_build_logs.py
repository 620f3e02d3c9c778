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


def _report(folder: Path, since: float = 0) -> tuple[int, list[str]]:
    shown: list[str] = []
    return report_failed(folder, since=since, lines=2, show=shown.append), shown


def test_the_end_of_a_failed_builds_log_is_shown_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "redis.log").write_text(FAILED)
    count, shown = _report(tmp_path)
    assert count == 1
    assert f"the build of image redis failed (whole log: {tmp_path / 'redis.log'}). Its last lines:" in shown
    assert [line.strip() for line in shown[-2:]] == FAILED.splitlines()[-2:]


def test_builds_that_worked_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "redis.log").write_text("#7 [3/7] RUN make\n#7 DONE 0.9s\n")
    assert _report(tmp_path) == (0, [])


def test_logs_of_earlier_runs_are_not_shown(tmp_path: Path) -> None:
    log = tmp_path / "redis.log"
    log.write_text(FAILED)
    os.utime(log, (1000, 1000))
    assert _report(tmp_path, since=1001) == (0, [])


def test_a_folder_that_no_build_has_made_yet_is_no_error(tmp_path: Path) -> None:
    assert _report(tmp_path / "build") == (0, [])
