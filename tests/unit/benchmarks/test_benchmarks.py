"""What the benchmarks compute and write; the measurements themselves need an engine and are not tested."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import tenacity
from typer.testing import CliRunner

from benchmarks import load, processes, report
from benchmarks.command_line import LOSSES_PAGE, PAGE, Section, app
from benchmarks.report import Table
from benchmarks.samples import Samples, against, ratio
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

TABLE = Table(
    title="A title", columns=("what", "seconds"), rows=(("a|b", "1.0"), ("long one", "10.0")), notes=("N.",)
)


# -- samples ----------------------------------------------------------------------------------------------


def test_one_bad_round_does_not_move_the_median() -> None:
    assert Samples.of([2.0, 1.0, 90.0]).median == 2.0
    assert Samples.of([1.0, 2.0, 3.0, 90.0]).median == 2.5


def test_the_spread_is_from_minimum_to_maximum() -> None:
    assert Samples.of([2.0, 1.0, 1234.5]).shown() == ("2.0", "1.0-1,234.5")


def test_a_single_value_has_no_spread() -> None:
    assert Samples.of([2.04]).shown(2) == ("2.04", "-")


def test_nothing_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Samples.of([])


def test_a_ratio_is_ours_over_theirs() -> None:
    ours, theirs = Samples.of([3.0]), Samples.of([2.0])
    assert ratio(ours, theirs) == 1.5
    assert against(ours, theirs, "<= 2x") == ("1.50x", "<= 2x")


# -- tables -----------------------------------------------------------------------------------------------


def test_a_table_for_a_terminal_aligns_its_numbers() -> None:
    assert report.plain(TABLE).splitlines()[2:6] == [
        "what      seconds",
        "--------  -------",
        "a|b           1.0",
        "long one     10.0",
    ]


def test_a_table_for_the_page_escapes_bars_in_its_cells() -> None:
    written = report.markdown(TABLE)
    assert "| a\\|b | 1.0 |" in written
    assert written.startswith("### A title\n")
    assert written.endswith("- N.\n")


def test_a_section_replaces_its_older_version() -> None:
    order = ("First", "Second")
    page = f"# Page\n\n{report.MARKER}\n"
    second = report.section("Second", "Seen.", [TABLE])
    page = report.insert(page, "Second", second, order)
    page = report.insert(page, "First", report.section("First", "Old.", [TABLE]), order)
    page = report.insert(page, "First", report.section("First", "New.", [TABLE]), order)
    assert "Old." not in page
    assert page.index("## First") < page.index("New.") < page.index("## Second")
    assert page.count(second) == 1
    assert report.insert(page, "Second", second, order) == page


def test_a_page_without_the_marker_is_refused() -> None:
    with pytest.raises(ValueError, match="benchmarks"):
        report.insert("# Page\n", "First", "", ("First",))


@pytest.mark.parametrize("page", [PAGE, LOSSES_PAGE], ids=lambda page: page.name)
def test_the_docs_pages_have_the_marker(page: Path) -> None:
    assert report.MARKER in page.read_text(encoding="utf-8")


# -- load -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _server(status: int) -> Iterator[tuple[load.Server, list[tuple[str, str | None, bytes]]]]:
    asked: list[tuple[str, str | None, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["Authorization"], content))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield load.Server(host="127.0.0.1", port=server.server_port, password="word"), asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


BLOCK = load.Request(method="POST", path="/v1/blocks/", body={"label": "x"})


def test_load_counts_the_answers() -> None:
    with _server(200) as (server, asked):
        rate = load.requests_per_second(server, BLOCK, connections=2, seconds=0.3, warm_up=0.0)
    assert 0 < rate <= len(asked) / 0.3
    assert asked[0] == ("/v1/blocks/", "Bearer word", b'{"label": "x"}')


def test_an_unsuccessful_answer_ends_the_load() -> None:
    with _server(500) as (server, asked):
        with pytest.raises(load.LoadError, match="status 500"):
            load.requests_per_second(server, BLOCK, connections=2, seconds=30, warm_up=0.0)
        assert len(asked) <= 2


# -- processes and command line ---------------------------------------------------------------------------


def test_a_failed_command_shows_its_output() -> None:
    command = [sys.executable, "-c", "import sys; print('so it is'); sys.exit(3)"]
    with pytest.raises(processes.CommandFailedError, match=r"exited with code 3:\nso it is"):
        processes.timed(command, directory=ROOT, environment=os.environ)


def test_child_processes_of_a_command_end_with_it(tmp_path: Path) -> None:
    script = f"sleep 300 & echo $! > {tmp_path}/child; wait"
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run(["bash", "-c", script], directory=tmp_path, environment=os.environ, seconds=1)
    child = int((tmp_path / "child").read_text())
    # It may still exist as a zombie, but it does not run any more.
    for attempt in tenacity.Retrying(stop=tenacity.stop_after_delay(30), wait=tenacity.wait_fixed(0.05)):
        with attempt:
            try:
                state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
            except FileNotFoundError:
                state = "gone"
            assert state in {"Z", "gone"}


def test_a_termination_signal_becomes_an_exception() -> None:
    with pytest.raises(SystemExit), processes.ended_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)


def test_removal_is_not_interrupted_by_signals() -> None:
    with processes.undisturbed():
        os.kill(os.getpid(), signal.SIGINT)


def test_help_names_every_section() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert all(section in shown.output for section in Section)


def test_an_unknown_section_is_refused_before_anything_is_deployed() -> None:
    refused = CliRunner().invoke(app, ["nothing"])
    assert refused.exit_code == 2
    assert "nothing" in refused.output
