"""Waiting until a stack answers, and what is shown when it does not."""

from __future__ import annotations

import pytest

from operations.console.errors import OperationError
from operations.console.redaction import hide
from operations.deploy import readiness
from testbed.fake_engine import FakeEngine, container, inspection

pytestmark = pytest.mark.unit


class Clock:
    """Time that passes only by sleeping."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_stack_that_does_not_answer_is_reported_and_waiting_is_never_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(OperationError, match="does not answer after 25 s: status 502"):
        readiness.wait_until_answering("http://x", seconds=25, ask=lambda _url: "status 502", clock=Clock())
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_stack_that_answers_is_not_waited_for() -> None:
    clock = Clock()
    readiness.wait_until_answering("http://x", seconds=5, ask=lambda _url: None, clock=clock)
    assert clock.now == 0


def test_unhealthy_containers_are_shown_with_the_end_of_their_log_and_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hide(["hunter22"])
    sick = container("sick", health="unhealthy")
    log = "\n".join(f"line {number}" for number in range(30)) + "\npassword=hunter22"
    engine = FakeEngine(all_containers=[container("well"), sick], logs={sick.id: log})
    count = readiness.report_trouble(engine, "dev")
    words = capsys.readouterr().out
    assert count == 1
    assert "sick (letta): unhealthy" in words
    assert "password=[secret]" in words
    assert "line 10\n" not in words
    assert "line 29" in words
    assert "well (" not in words


def test_a_job_that_succeeded_is_no_trouble_to_report() -> None:
    job = container("job", state="exited", health=None)
    engine = FakeEngine(all_containers=[job], inspections={job.id: inspection(is_job=True)})
    assert readiness.report_trouble(engine, "dev") == 0
