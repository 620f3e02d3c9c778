"""What is shown of image builds that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.deploy.build_logs import report_failed, sizes

pytestmark = pytest.mark.unit

FAILED = """#7 [3/7] RUN make
#7 0.9 no rule
#7 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2
"""


def test_the_end_of_a_failed_builds_log_is_shown_with_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "redis.log").write_text(FAILED)
    assert report_failed(tmp_path, before={}, lines=2) == 1
    shown = capsys.readouterr().out.splitlines()
    assert f"the build of image redis failed (full log: {tmp_path / 'redis.log'}). Its last lines:" in shown
    assert [line.strip() for line in shown[-2:]] == FAILED.splitlines()[-2:]


def test_builds_that_worked_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "redis.log").write_text("#7 [3/7] RUN make\n#7 DONE 0.9s\n")
    assert report_failed(tmp_path, before={}, lines=2) == 0
    assert capsys.readouterr().out == ""


WORKED = "#7 [3/7] RUN make\n#7 DONE 0.9s\n"
# What the log holds when the run begins, what the run does to it, and whether a build of the run failed.
RUNS: dict[str, tuple[str | None, str, bool]] = {
    "first build fails": (None, FAILED, True),
    "first build works": (None, WORKED, False),
    "failed before, not built now": (FAILED, FAILED, False),
    "failed before, works now": (FAILED, FAILED + WORKED, False),
    "failed before, fails again": (FAILED, FAILED + FAILED, True),
    "worked before, fails now": (WORKED, WORKED + FAILED, True),
    "failed before, written anew and works": (FAILED, WORKED, False),
    "worked before, written anew and fails": (WORKED * 9, FAILED, True),
}


@pytest.mark.parametrize(("before", "after", "failed"), RUNS.values(), ids=list(RUNS))
def test_a_build_is_blamed_only_for_this_run(tmp_path: Path, before: str | None, after: str, failed: bool) -> None:
    log = tmp_path / "redis.log"
    if before is not None:
        log.write_text(before)
    known = sizes(tmp_path)
    log.write_text(after)
    assert report_failed(tmp_path, before=known, lines=2) == int(failed)


def test_a_folder_that_no_build_has_made_yet_is_no_error(tmp_path: Path) -> None:
    assert report_failed(tmp_path / "build", before={}, lines=2) == 0
