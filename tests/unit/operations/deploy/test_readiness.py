"""Waiting until a stack answers, and what is shown when it does not."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from operations.checks.drift import Condition, Difference
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


def test_a_refused_password_is_reported_at_once() -> None:
    clock = Clock()
    with pytest.raises(OperationError, match="refuses the password"):
        readiness.wait_until_answering("http://x", seconds=25, ask=lambda _url: "status 401", clock=clock)
    assert clock.now == 0


# What the server does; what `answer` says.
ANSWERS = {
    "answers": ((200, {}), None),
    "database down": ((500, {}), "status 500"),
    "no server": ((502, {}), "status 502"),
    "another password": ((401, {}), "status 401"),
    "leads elsewhere": ((302, {"Location": "http://127.0.0.1:9/"}), "status 302"),
}


@pytest.mark.parametrize(("given", "reason"), ANSWERS.values(), ids=list(ANSWERS))
def test_the_api_is_asked_with_the_password(given: tuple[int, dict[str, str]], reason: str | None) -> None:
    seen: list[str | None] = []

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(given[0])
            for name, value in given[1].items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert readiness.answer(f"http://127.0.0.1:{server.server_port}/", "hunter22") == reason
        server.shutdown()
    assert seen == ["Bearer hunter22"]


def _difference(condition: Condition, **more: object) -> Difference:
    facts: dict[str, object] = {"urn": "u", "id": "i", "kind": "container", "name": "c", "service": "redis"}
    return Difference(condition=condition, **{**facts, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("condition", [Condition.STARTING, Condition.UNHEALTHY, Condition.RESTARTING])
def test_what_may_become_healthy_is_waited_for(condition: Condition) -> None:
    looks = iter([[_difference(condition)], [_difference(condition)], []])
    readiness.wait_until_well(lambda: next(looks), seconds=5, clock=Clock())
    with pytest.raises(OperationError, match=f"not all services are healthy after 5 s: container c: {condition}"):
        readiness.wait_until_well(lambda: [_difference(condition)], seconds=5, clock=Clock())


@pytest.mark.parametrize(
    "condition",
    [Condition.MISSING, Condition.STOPPED, Condition.PAUSED, Condition.DEAD, Condition.DISCONNECTED],
)
def test_what_does_not_run_is_an_error_at_once(condition: Condition) -> None:
    clock = Clock()
    with pytest.raises(OperationError, match=f"the stack is not complete: container c: {condition}"):
        readiness.wait_until_well(lambda: [_difference(condition)], seconds=5, clock=clock)
    assert clock.now == 0


def test_a_job_that_was_removed_is_no_reason_to_fail() -> None:
    gone = _difference(Condition.MISSING, needed=False)
    readiness.wait_until_well(lambda: [gone], seconds=5, clock=Clock())


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
