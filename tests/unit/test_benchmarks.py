"""What the benchmarks compute, write and ask for; the measuring itself needs an engine and is no test."""

from __future__ import annotations

import contextlib
import json
import os
import re
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
import yaml
from typer.testing import CliRunner

from benchmarks import cold, compose_project, compose_tool, engine_events, load, processes, report, server_copies
from benchmarks.command_line import LOSSES_PAGE, PAGE, Section, app
from benchmarks.report import Table
from benchmarks.samples import Samples, against, ratio
from benchmarks.timeline import Recording, Span, critical_path, dependencies, label, spans

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
TABLE = Table(
    title="A title", columns=("what", "seconds"), rows=(("a|b", "1.0"), ("long one", "10.0")), notes=("N.",)
)


# -- samples ----------------------------------------------------------------------------------------------


def test_a_median_is_not_moved_by_one_bad_round() -> None:
    assert Samples.of([2.0, 1.0, 90.0]).median == 2.0
    assert Samples.of([1.0, 2.0, 3.0, 90.0]).median == 2.5


def test_the_spread_is_from_the_least_to_the_greatest() -> None:
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


def test_a_table_for_a_terminal_has_its_numbers_below_each_other() -> None:
    assert report.plain(TABLE).splitlines()[2:6] == [
        "what      seconds",
        "--------  -------",
        "a|b           1.0",
        "long one     10.0",
    ]


def test_a_table_for_the_page_keeps_bars_out_of_its_cells() -> None:
    written = report.markdown(TABLE)
    assert "| a\\|b | 1.0 |" in written
    assert written.startswith("### A title\n")
    assert written.endswith("- N.\n")


def test_a_section_is_put_in_the_place_of_its_older_self() -> None:
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


def test_a_page_without_the_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="benchmarks"):
        report.insert("# Page\n", "First", "", ("First",))


@pytest.mark.parametrize("page", [PAGE, LOSSES_PAGE], ids=lambda page: page.name)
def test_the_pages_of_the_docs_have_the_mark(page: Path) -> None:
    assert report.MARKER in page.read_text(encoding="utf-8")


# -- timeline ---------------------------------------------------------------------------------------------


def _pre(urn: str, *, custom: bool = True) -> dict[str, Any]:
    return {"resourcePreEvent": {"metadata": {"urn": urn, "op": "create", "new": {"custom": custom}}}}


def _done(urn: str) -> dict[str, Any]:
    return {"resOutputsEvent": {"metadata": {"urn": urn, "op": "create"}}}


def test_a_resource_is_worked_on_from_its_step_to_its_outputs() -> None:
    events = [(1.0, _pre("a")), (1.5, _pre("b", custom=False)), (2.0, {"stdoutEvent": {}}), (4.0, _done("a"))]
    assert spans([*events, (5.0, _done("b"))]) == {"a": Span(start=1.0, end=4.0)}


def test_a_resource_that_never_ended_has_no_span() -> None:
    assert spans([(1.0, _pre("a"))]) == {}


def test_the_critical_path_goes_back_over_what_was_waited_for_longest() -> None:
    worked = {
        "provider": Span(start=1.0, end=1.5),
        "network": Span(start=1.5, end=2.0),
        "postgres": Span(start=2.0, end=6.0),
        "redis": Span(start=2.0, end=3.0),
        "server": Span(start=6.5, end=20.0),
        "collector": Span(start=2.0, end=5.0),
    }
    needed = {
        "network": frozenset({"provider"}),
        "postgres": frozenset({"network"}),
        "redis": frozenset({"network"}),
        "server": frozenset({"redis", "postgres", "network", "a component"}),
    }
    path = critical_path(worked, needed)
    assert [step.urn for step in path] == ["provider", "network", "postgres", "server"]
    assert [step.waited for step in path] == [1.0, 0.0, 0.0, 0.5]
    assert sum(step.waited + step.span.seconds for step in path) == 20.0


def test_without_a_resource_there_is_no_path() -> None:
    assert critical_path({}, {}) == ()


def test_what_a_resource_waits_for_is_in_the_state() -> None:
    exported = {
        "deployment": {
            "resources": [
                {
                    "urn": "urn:a",
                    "dependencies": ["urn:b"],
                    "provider": "urn:pulumi:x::p::pulumi:providers:d::e::1-2",
                },
                {"urn": "urn:b"},
            ]
        }
    }
    assert dependencies(exported) == {
        "urn:a": frozenset({"urn:b", "urn:pulumi:x::p::pulumi:providers:d::e"}),
        "urn:b": frozenset(),
    }


def test_a_resource_is_shown_by_its_kind_and_name() -> None:
    urn = "urn:pulumi:dev::letta::letta:p:Platform$docker:index/container:Container::letta-dev-server"
    assert label(urn) == "Container letta-dev-server"


def test_an_event_is_taken_when_its_line_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    recording = Recording(path=path)
    recording.take()
    with path.open("w") as file:
        file.write(json.dumps({"one": 1}) + '\n{"tw')
        file.flush()
        recording.take()
        assert [event for _, event in recording.events] == [{"one": 1}]
        file.write('o": 2}\n')
    recording.take()
    assert [event for _, event in recording.events] == [{"one": 1}, {"two": 2}]


def test_milestones_are_seconds_since_the_command_was_started() -> None:
    def event(action: str, at: float, service: str = "roles", **attributes: str) -> dict[str, Any]:
        labels = {"letta-platform.service": service} if service else {}
        return {"Action": action, "timeNano": int(at * 1e9), "Actor": {"Attributes": {**labels, **attributes}}}

    found = engine_events.milestones(
        [
            event("create", 101.0),
            event("start", 102.0),
            event("health_status: unhealthy", 102.5, "letta"),
            event("health_status: healthy", 103.0, "letta"),
            event("health_status: healthy", 109.0, "letta"),
            event("die", 104.0, exitCode="0"),
            event("die", 104.0, "redis", exitCode="137"),
            event("create", 105.0, ""),
        ],
        since=100.0,
    )
    assert found["roles"] == engine_events.Milestones(created=1.0, started=2.0, ready=4.0)
    assert found["letta"].ready == 3.0
    assert found["redis"].ready is None
    assert set(found) == {"roles", "letta", "redis"}


def test_the_breakdown_adds_up_to_the_whole() -> None:
    worked = {"u::p::k:T::a": Span(start=2.0, end=2.1), "u::p::k:T::b": Span(start=3.0, end=9.0)}
    path = critical_path(worked, {"u::p::k:T::b": frozenset({"u::p::k:T::a"})})
    (_, _, table) = cold.tables(
        "2.35.1", [cold.Run(seconds=10.0, milestones={}, path=path, finished=9.0)], [_run()]
    )
    assert sum(float(seconds.split()[0]) for _, seconds in table.rows) == pytest.approx(10.0)
    assert [name for name, _ in table.rows] == [
        "(until the first of them: Pulumi and the program start)",
        "(between two steps)",
        "T b",
        "(after the last of them: Pulumi ends)",
        "(steps shorter than 0.3 s, together)",
    ]


def _run() -> cold.Run:
    return cold.Run(seconds=8.0, milestones={})


# -- copies and Compose -----------------------------------------------------------------------------------

SECOND = 10**9


def _inspected(**changed: Any) -> dict[str, Any]:
    config = {
        "Image": "letta-platform.invalid/x:1",
        "User": "10001:10001",
        "Env": ["A=1", "PRICE=$5", "LETTA_OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317"],
        "Cmd": ["server"],
        "Entrypoint": ["entry"],
        "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD", "healthy"], "Interval": SECOND, "Timeout": 3 * SECOND, "Retries": 3},
        **changed,
    }
    host = {
        "Binds": ["bundle:/run/secrets:ro"],
        "CapDrop": ["ALL"],
        "Init": True,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "Memory": 100,
        "MemorySwap": 100,
        "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "28283"}]},
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "unless-stopped"},
        "SecurityOpt": ["no-new-privileges:true"],
        "ShmSize": 64,
        "Tmpfs": {"/tmp": "rw,uid=10001"},
        "NetworkMode": "bridge",
    }
    return {"Config": config, "HostConfig": host, "NetworkSettings": {"Networks": {"b-data": {}, "a-app": {}}}}


def test_a_copy_of_a_server_is_as_confined_as_the_server() -> None:
    body = server_copies.body(_inspected(), image="other:2", environment={"A": "2", "B": "3"}, label="bench-1")
    assert body["Image"] == "other:2"
    assert {"A=2", "B=3", "PRICE=$5"} <= set(body["Env"])
    assert body["User"] == "10001:10001"
    host = body["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Binds"] == ["bundle:/run/secrets:ro"]
    assert host["Tmpfs"] == {"/tmp": "rw,uid=10001"}


def test_a_copy_of_a_server_carries_no_label_of_the_stack_and_no_port() -> None:
    body = server_copies.body(_inspected(), image=None, environment={}, label="bench-1")
    assert body["Labels"] == {"letta-platform.benchmark": "bench-1"}
    assert "PortBindings" not in body["HostConfig"]
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"a-app": {}}}


def _project(tmp_path: Path) -> dict[str, Any]:
    containers = {service: _inspected() for service in compose_project.SERVICES}
    containers["roles"] = _inspected(Cmd=["postgres-roles"], Entrypoint=["run-job"])
    return compose_project.project("bench-1", containers, tmp_path)


def test_the_compose_project_waits_for_the_same_health(tmp_path: Path) -> None:
    services = _project(tmp_path)["services"]
    assert services["letta"]["healthcheck"] == {
        "test": ["CMD", "healthy"],
        "retries": 3,
        "interval": "1000000000ns",
        "timeout": "3000000000ns",
    }
    assert services["letta"]["depends_on"] == {
        "migration": {"condition": "service_completed_successfully"},
        "redis": {"condition": "service_healthy"},
    }


def test_the_compose_project_runs_jobs_without_the_wrapper_that_lingers(tmp_path: Path) -> None:
    roles = _project(tmp_path)["services"]["roles"]
    assert roles["entrypoint"] == ["postgres-roles"]
    assert roles["restart"] == "no"
    assert "healthcheck" not in roles


def test_the_compose_project_means_a_dollar_when_there_is_one(tmp_path: Path) -> None:
    environment = _project(tmp_path)["services"]["letta"]["environment"]
    assert environment == {"A": "1", "PRICE": "$$5"}


def test_every_file_of_the_compose_project_is_written_and_has_no_secret_in_the_document(tmp_path: Path) -> None:
    compose_project.write_files(tmp_path, "s3cretpassword")
    document = _project(tmp_path)
    files = [one["file"] for kind in ("secrets", "configs") for one in document[kind].values()]
    assert all(Path(file).is_file() for file in files)
    assert "s3cretpassword" not in yaml.safe_dump(document)
    for service in document["services"].values():
        assert set(service.get("secrets", ())) <= set(document["secrets"])
        assert {one["source"] for one in service.get("configs", ())} <= set(document["configs"])


def test_compose_is_pinned_with_the_exclusions_that_it_needs() -> None:
    text = (compose_tool.SOURCE / "go.mod").read_text()
    assert re.fullmatch(r"2\.\d+\.\d+", compose_tool.pinned(text))
    assert "exclude (" in text
    assert (compose_tool.SOURCE / "go.sum").stat().st_size > 0


def test_a_go_mod_without_compose_is_refused() -> None:
    with pytest.raises(ValueError, match="not required"):
        compose_tool.pinned("module x\n")


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


def test_an_answer_with_an_error_is_not_counted_but_ends_the_load() -> None:
    with _server(500) as (server, asked):
        with pytest.raises(load.LoadError, match="status 500"):
            load.requests_per_second(server, BLOCK, connections=2, seconds=30, warm_up=0.0)
        assert len(asked) <= 2


# -- processes and command line ---------------------------------------------------------------------------


def test_a_command_that_fails_says_what_it_wrote() -> None:
    command = [sys.executable, "-c", "import sys; print('so it is'); sys.exit(3)"]
    with pytest.raises(processes.CommandFailedError, match=r"ended with 3:\nso it is"):
        processes.timed(command, directory=ROOT, environment=os.environ)


def test_what_a_command_started_ends_with_it(tmp_path: Path) -> None:
    script = f"sleep 300 & echo $! > {tmp_path}/child; wait"
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run(["bash", "-c", script], directory=tmp_path, environment=os.environ, seconds=1)
    child = int((tmp_path / "child").read_text())
    # It may still be there as a zombie of this machine's first process, but it runs no more.
    for attempt in tenacity.Retrying(stop=tenacity.stop_after_delay(30), wait=tenacity.wait_fixed(0.05)):
        with attempt:
            try:
                state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
            except FileNotFoundError:
                state = "gone"
            assert state in {"Z", "gone"}


def test_a_termination_lets_what_was_made_be_removed() -> None:
    with pytest.raises(SystemExit), processes.ended_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)


def test_removing_is_not_interrupted() -> None:
    with processes.undisturbed():
        os.kill(os.getpid(), signal.SIGINT)


def test_help_names_every_section() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert all(section in shown.output for section in Section)


def test_an_unknown_section_is_refused_before_anything_is_made() -> None:
    refused = CliRunner().invoke(app, ["nothing"])
    assert refused.exit_code == 2
    assert "nothing" in refused.output
