"""The options of a collector on this machine, what it reports, and the files that it leaves."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import otel
from operations.cli import main
from operations.console.errors import OperationError
from operations.host_collector import environment
from operations.host_collector.environment import CollectorOptions
from operations.host_collector.install import install
from operations.host_collector.run import description, refuse_taken_ports
from operations.host_collector.state import State
from toolchain import collector
from toolchain.collector import Installation
from toolchain.install_method import InstallMethod
from toolchain.locations import ROOT
from toolchain.machine import detect

pytestmark = pytest.mark.unit

SECRET = "never-seen-7f3a"
CLICKHOUSE = {"CLICKHOUSE_ENDPOINT": "https://clickhouse.example:8443", "CLICKHOUSE_PASSWORD": SECRET}
SIGNOZ = {"SIGNOZ_ENDPOINT": "https://signoz.example", "SIGNOZ_INGESTION_KEY": SECRET}
DATADOG = {"DD_SITE": "datadoghq.eu", "DD_API_KEY": SECRET}


def read(environ: dict[str, str], *, profile: str | None = None, production: bool = False) -> CollectorOptions:
    return environment.read(
        {"HOME": "/home/ada", **environ},
        version=otel.DEFAULT_VERSION,
        profile=profile,
        development=not production,
    )


@pytest.mark.parametrize(
    ("environ", "production", "profile", "secrets"),
    [
        ({}, False, "file-dev", []),
        ({}, True, "file", []),
        ({"CLICKHOUSE_ENDPOINT": "", "CLICKHOUSE_PASSWORD": ""}, False, "file-dev", []),
        (CLICKHOUSE, False, "clickhouse-dev", ["clickhouse-password"]),
        (CLICKHOUSE, True, "clickhouse", ["clickhouse-password"]),
        (CLICKHOUSE | SIGNOZ, False, "clickhouse-dev", ["clickhouse-password"]),
        (SIGNOZ, False, "signoz", ["signoz-ingestion-key"]),
        (CLICKHOUSE | DATADOG, True, "clickhouse-prod", ["clickhouse-password", "datadog-api-key"]),
        (CLICKHOUSE | DATADOG, False, "clickhouse-dev", ["clickhouse-password"]),
        (DATADOG, False, "file-dev", []),
    ],
)
def test_variables_choose_the_profile_and_the_secrets_that_it_gets(
    environ: dict[str, str], production: bool, profile: str, secrets: list[str]
) -> None:
    options = read(environ, production=production)

    assert options.choice.profile.name == profile
    assert sorted(options.secret_files) == secrets


def test_a_profile_can_be_chosen() -> None:
    assert read(CLICKHOUSE, profile="clickhouse").choice.profile.name == "clickhouse"


def test_user_database_and_environment_are_taken_from_variables() -> None:
    options = read(
        {**CLICKHOUSE, "CLICKHOUSE_USERNAME": "u", "CLICKHOUSE_DATABASE": "d", "LETTA_ENVIRONMENT": "laptop"}
    )

    assert options.destinations.clickhouse == otel.ClickHouse(
        endpoint="https://clickhouse.example:8443", username="u", database="d"
    )
    assert options.environment == "laptop"
    assert options.letta_folder == Path("/home/ada/.letta")
    assert read({"LETTA_DIR": "/srv/letta"}).letta_folder == Path("/srv/letta")


@pytest.mark.parametrize("kept", [*CLICKHOUSE, *SIGNOZ, *DATADOG])
def test_half_a_destination_is_refused_by_the_names_of_its_variables(kept: str) -> None:
    pair = next(pair for pair in (CLICKHOUSE, SIGNOZ, DATADOG) if kept in pair)
    (missing,) = set(pair) - {kept}

    with pytest.raises(OperationError) as error:
        read({kept: pair[kept]})

    assert error.value.problem == f"{kept} is set, but {missing} is not"
    assert pair[kept] not in str(error.value)


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        (CLICKHOUSE | {"CLICKHOUSE_ENDPOINT": f"tcp://{SECRET}:9000"}, "CLICKHOUSE_ENDPOINT"),
        (CLICKHOUSE | {"CLICKHOUSE_ENDPOINT": f"http://u:{SECRET}"}, "CLICKHOUSE_ENDPOINT"),
        (CLICKHOUSE | {"CLICKHOUSE_ENDPOINT": f"http://u:{SECRET}@host"}, "CLICKHOUSE_ENDPOINT"),
        (CLICKHOUSE | {"CLICKHOUSE_ENDPOINT": f"http://host/{SECRET}"}, "CLICKHOUSE_ENDPOINT"),
        (CLICKHOUSE | {"CLICKHOUSE_ENDPOINT": f"http://{SECRET} {SECRET}"}, "CLICKHOUSE_ENDPOINT"),
        (CLICKHOUSE | {"CLICKHOUSE_ENDPOINT": f"http://host\n{SECRET}"}, "CLICKHOUSE_ENDPOINT"),
        (CLICKHOUSE | {"CLICKHOUSE_DATABASE": SECRET}, "CLICKHOUSE_DATABASE"),
        (CLICKHOUSE | {"CLICKHOUSE_PASSWORD": f"{SECRET}\n{SECRET}"}, "CLICKHOUSE_PASSWORD"),
        (CLICKHOUSE | {"CLICKHOUSE_PASSWORD": f"{SECRET}\udcff"}, "CLICKHOUSE_PASSWORD"),
        (SIGNOZ | {"SIGNOZ_ENDPOINT": f"grpc://{SECRET}"}, "SIGNOZ_ENDPOINT"),
        (SIGNOZ | {"SIGNOZ_INGESTION_KEY": f"{SECRET}\0"}, "SIGNOZ_INGESTION_KEY"),
        (DATADOG | {"DD_SITE": SECRET}, "DD_SITE"),
        ({"GRAFANA_URL": SECRET}, "GRAFANA_URL"),
        ({"GRAFANA_URL": f"https://admin:{SECRET}@grafana.example"}, "GRAFANA_URL"),
        ({"GRAFANA_URL": f"https://grafana.example:{SECRET}"}, "GRAFANA_URL"),
        ({"LETTA_ENVIRONMENT": f"{SECRET}\x1b[2J"}, "LETTA_ENVIRONMENT"),
    ],
)
def test_garbage_is_refused_by_the_name_of_its_variable_and_never_repeated(
    environ: dict[str, str], names: str
) -> None:
    with pytest.raises(OperationError) as error:
        read(environ)

    assert names in str(error.value)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("profile", "problem"),
    [("jaeger", "unknown telemetry profile 'jaeger'"), ("signoz", "profile signoz needs SigNoz")],
)
def test_an_impossible_profile_is_refused(profile: str, problem: str) -> None:
    with pytest.raises(OperationError, match=problem) as error:
        read(CLICKHOUSE, profile=profile)

    assert error.value.where == "--profile"


def test_programs_that_are_started_get_no_secret() -> None:
    environ = {**CLICKHOUSE, **SIGNOZ, **DATADOG, "PATH": "/bin"}

    assert SECRET not in str(environment.without_secrets(environ))
    assert environment.without_secrets(environ)["PATH"] == "/bin"
    assert SECRET not in repr(read(environ))


def said(environ: dict[str, str], *, production: bool = False) -> str:
    layout = otel.ListenLayout(address="127.0.0.1", data_directory="/data", log_directory="/letta")
    return "\n".join(description(read(environ, production=production), layout, otel.DEFAULT_VERSION, "id 1"))


def test_profile_reason_limits_addresses_and_destinations_are_described_without_secrets() -> None:
    words = said({**CLICKHOUSE, **DATADOG}, production=True)

    assert "profile clickhouse-prod: ClickHouse's endpoint and password and Datadog's site and key" in words
    assert "note: Datadog gets spans over OTLP" in words
    assert "http://127.0.0.1:4318" in words
    assert "http://127.0.0.1:13133" in words
    assert "ClickHouse https://clickhouse.example:8443, database otel" in words
    assert "Datadog datadoghq.eu" in words
    assert "/letta/logs/Letta.log*" in words
    assert "/data/traces.json" not in words
    assert SECRET not in words


def test_the_link_leads_to_the_traces_of_this_machine() -> None:
    words = said({"GRAFANA_URL": "https://grafana.example/"})

    assert "traces: https://grafana.example/d/letta-service?var-device_id=id%201" in words
    assert "files: /data/traces.json" in words
    assert "device id: id 1" in said({})


# -- Files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path / "state" / "collector")
    with state.held():
        yield state


def test_secrets_are_readable_for_their_owner_only_and_gone_when_the_run_ends(state: State) -> None:
    with state.secret_files({"clickhouse-password": SECRET}):
        file = state.secrets / "clickhouse-password"
        assert file.read_text() == SECRET
        assert file.stat().st_mode & 0o777 == 0o600
        assert state.secrets.stat().st_mode & 0o777 == 0o700
        assert state.folder.stat().st_mode & 0o777 == 0o700

    assert not state.secrets.exists()


def test_secrets_are_gone_also_when_the_run_is_interrupted(state: State) -> None:
    def interrupted() -> None:
        with state.secret_files({"clickhouse-password": SECRET}):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert not state.secrets.exists()


def test_secrets_that_a_killed_run_left_are_removed_by_the_next(state: State) -> None:
    state.secrets.mkdir()
    (state.secrets / "datadog-api-key").write_text(SECRET)

    with state.secret_files({}):
        assert list(state.secrets.iterdir()) == []


def test_the_device_id_stays_and_another_folder_has_another(state: State, tmp_path: Path) -> None:
    other = State(tmp_path / "other" / "collector")
    with other.held():
        assert other.device_id() != state.device_id() == State(state.folder).device_id()


def test_a_second_collector_does_not_get_the_queue_of_the_first(state: State) -> None:
    other = State(state.folder).held()
    with pytest.raises(OperationError, match="another `collector run` of yours"):
        other.__enter__()


# -- Ports ---------------------------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def layout(**ports: int) -> otel.ListenLayout:
    return otel.ListenLayout(address="127.0.0.1", **ports)  # type: ignore[arg-type]


def test_the_process_that_uses_a_port_is_named(listener: int) -> None:
    environ = {"DOCKER_HOST": "unix:///nowhere.sock"}

    with pytest.raises(OperationError) as error:
        refuse_taken_ports(layout(grpc_port=listener), environ)

    assert f"127.0.0.1:{listener}: process {os.getpid()}" in error.value.where
    assert "--grpc-port" in str(error.value)


def test_one_port_for_two_things_is_refused() -> None:
    with pytest.raises(OperationError, match="two ports are the same"):
        refuse_taken_ports(layout(grpc_port=4318), {})


# -- The command ---------------------------------------------------------------------------------------------


def test_bad_variables_end_the_command_with_an_error_and_without_the_value(tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "CLICKHOUSE_PASSWORD": SECRET}
    environ.pop("CLICKHOUSE_ENDPOINT", None)

    done = subprocess.run(
        [sys.executable, "-m", "operations", "collector", "run"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "CLICKHOUSE_PASSWORD is set, but CLICKHOUSE_ENDPOINT is not" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["install", "run"])
@pytest.mark.parametrize("version", ["0.100.0", "latest"])
def test_an_unknown_version_ends_the_command_with_those_that_there_are(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    version: str,
) -> None:
    for name, value in {**CLICKHOUSE, "HOME": str(tmp_path), "LETTA_COLLECTOR_VERSION": version}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["operations", "collector", verb])

    with pytest.raises(SystemExit) as ended:
        main.main()

    assert ended.value.code == 1
    assert f"one of: {', '.join(otel.VERSIONS)}" in capsys.readouterr().err


def test_windows_is_refused_before_anything_is_imported_that_it_does_not_have() -> None:
    script = (
        "import runpy, sys\n"
        "sys.platform = 'win32'\n"
        "sys.modules['fcntl'] = None\n"
        "runpy.run_module('operations', run_name='__main__')"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "does not run on Windows itself" in done.stderr
    assert "wsl --install" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("version", "route", "warned"),
    [
        ("0.96.0", InstallMethod.OFFICIAL, True),
        ("0.96.0", InstallMethod.GO, False),
        ("0.149.0", InstallMethod.OFFICIAL, False),
    ],
)
def test_a_release_that_loses_the_queue_of_a_later_one_is_installed_with_a_warning(
    version: str,
    route: InstallMethod,
    warned: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def ensure(*_: object, **__: object) -> Installation:
        return collector.installation(version, route, detect({}), {"HOME": "/home/ada"})

    monkeypatch.setattr(collector, "ensure", ensure)
    install(version, {})

    said = capsys.readouterr()
    assert ("LETTA_COLLECTOR_ROUTE=go" in said.out + said.err) is warned
