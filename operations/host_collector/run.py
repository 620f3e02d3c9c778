"""`collector run`: a collector in the foreground, that does what the environment's variables ask for."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import otel
from operations.checks import ports
from operations.console import process, terminal
from operations.console.errors import OperationError
from operations.console.redaction import Redactor
from operations.engine.protocol import Container, EngineUnreachableError
from operations.host_collector import environment, tables
from operations.host_collector.environment import CollectorOptions
from operations.host_collector.install import install, refuse_unknown
from operations.host_collector.state import State
from otel.versions import CollectorVersion, Feature
from toolchain import docker_endpoint, locations

MEMORY_MIB = 1366
"""What the process may take: its limiter refuses signals at 1,024 MiB, as the seed's did."""


def run(
    *,
    version: str,
    profile: str | None,
    development: bool,
    layout: otel.ListenLayout,
    retention_days: int,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Run a collector until it ends or is told to (SIGINT, SIGTERM), and give its exit code.

    Args:
        version: of the collector; it is installed when it is not there.
        profile: name of a profile; None: chosen by what is set.
        development: which variant to choose.
        place: addresses and ports; its folders are replaced by those of the user.
        retention_days: for tables that are made in ClickHouse.
        environ: variables; the secrets among them are given to no program.

    Raises:
        OperationError: when something keeps it from running.
        toolchain.errors.StepFailedError: when the collector cannot be had.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As for Ctrl-C, so that files with secrets are removed whenever the end comes.
        signal.signal(number, signal.default_int_handler)
    refuse_unknown(version)
    wanted = environment.read(environ, version=version, profile=profile, development=development)
    given = environment.without_secrets(environ)
    state = State(locations.state_home(environ) / "collector")
    with state.held():
        device_id = state.device_id()
        refuse_taken_ports(layout, given)
        try:
            layout = replace(
                layout,
                data_directory=str(state.data),
                secrets_directory=str(state.secrets),
                log_directory=str(wanted.letta_folder),
            )
            text = _configuration(wanted, layout, version, device_id)
        except otel.ConfigurationError as error:
            raise OperationError(f"no collector can be configured: {error}") from None
        program = install(version, given).program
        for line in description(wanted, layout, version, device_id):
            terminal.say(line)
        _prepare_clickhouse(wanted, version, retention_days)
        locations.private_folder(Path(layout.queue_directory))
        state.write_configuration(text)
        with state.secret_files(wanted.secret_files):
            environ = {**given, "GOMEMLIMIT": otel.go_memory_limit(MEMORY_MIB)}
            return _run(program, state, environ, wanted, version)


def _configuration(wanted: CollectorOptions, layout: otel.ListenLayout, version: str, device_id: str) -> str:
    config = otel.compose(
        wanted.choice.profile,
        version=version,
        memory_mib=MEMORY_MIB,
        destinations=wanted.destinations,
        environment=wanted.environment,
        device_id=device_id,
        log_directories=("logs",),
        layout=layout,
    )
    return otel.render(config)


def refuse_taken_ports(layout: otel.ListenLayout, environ: Mapping[str, str]) -> None:
    """Look whether the collector can listen.

    Raises:
        OperationError: when it cannot, with who holds the ports.
    """
    asked = {
        "--grpc-port": layout.grpc_port,
        "--http-port": layout.http_port,
        "--health-port": layout.health_port,
        "--metrics-port": layout.metrics_port,
    }
    if len(set(asked.values())) < len(asked):
        raise OperationError("two ports are the same", where=", ".join(asked))
    wanted = [ports.WantedPort(key=option, address=layout.address, port=port) for option, port in asked.items()]
    if not any(ports.bind_error(one.address, one.port) for one in wanted):
        return
    # As of a stack that does not exist: everybody's containers are somebody else's.
    found = [one for one in ports.check("", wanted, _containers(environ)) if one.state is not ports.PortState.FREE]
    if found:
        raise OperationError(
            "ports that the collector is to listen on cannot be had",
            where="; ".join(f"{one.wanted.address}:{one.wanted.port}: {one.holder}" for one in found),
            fix=["stop who has them", f"or choose others: {', '.join(one.wanted.key for one in found)}"],
        )


def _containers(environ: Mapping[str, str]) -> tuple[Container, ...]:
    from operations.engine.docker_engine import connect

    host = docker_endpoint.variable(environ)
    try:
        return tuple(connect({**environ, **({"DOCKER_HOST": host} if host else {})}).containers())
    except EngineUnreachableError:
        return ()


def description(
    wanted: CollectorOptions, layout: otel.ListenLayout, version: str, device_id: str
) -> Iterator[str]:
    """Say what the collector is going to do, and where."""
    profile = wanted.choice.profile
    exporters = {exporter for pipeline in profile.pipelines for exporter in pipeline.exporters}
    yield f"profile {wanted.choice.reason}"
    for limitation in otel.limitations(profile, version=version):
        yield f"note: {limitation}"
    at = layout.address
    yield f"takes OTLP: http://{at}:{layout.http_port} (HTTP), http://{at}:{layout.grpc_port} (gRPC)"
    yield f"health: http://{at}:{layout.health_port}; own metrics: http://{at}:{layout.metrics_port}/metrics"
    if any(name.startswith("file/") for name in exporters):
        yield f"files: {layout.data_directory}/{otel.TRACES_FILE}, {otel.METRICS_FILE}"
    if "clickhouse" in exporters and wanted.destinations.clickhouse:
        clickhouse = wanted.destinations.clickhouse
        yield f"sends to: ClickHouse {clickhouse.address}, database {clickhouse.database}"
    if "datadog" in exporters and wanted.destinations.datadog:
        yield f"sends to: Datadog {wanted.destinations.datadog.site}"
    if "otlp/signoz" in exporters and wanted.destinations.signoz:
        yield f"sends to: SigNoz {wanted.destinations.signoz.address}"
    if any(pipeline.signal == "logs" for pipeline in profile.pipelines):
        yield f"reads logs: {layout.log_directory}/logs/Letta.log*"
    if wanted.grafana_url:
        yield f"traces: {wanted.grafana_url}/d/letta-service?var-device_id={quote(device_id, safe='')}"
    else:
        yield f"device id: {device_id} (with GRAFANA_URL: a link to its traces)"


def _prepare_clickhouse(wanted: CollectorOptions, version: str, retention_days: int) -> None:
    target = wanted.destinations.clickhouse
    if target is None or otel.CLICKHOUSE_PASSWORD not in wanted.secret_files:
        return
    clean = Redactor(wanted.secrets.values())
    try:
        done = tables.ensure(target, wanted.secrets["CLICKHOUSE_PASSWORD"], retention_days=retention_days)
    except tables.UndeliverableError as error:
        if not CollectorVersion.parse(version).has(Feature.CLICKHOUSE_SCHEMA_SWITCH):
            raise OperationError(
                clean(f"{error}. Collector {version} does not start then: it wants to make the tables itself"),
                where="CLICKHOUSE_ENDPOINT",
                fix=["start ClickHouse first", f"or take collector {otel.DEFAULT_VERSION}, which waits for it"],
            ) from None
        done = f"warning: {error}. Signals wait in the queue until ClickHouse has the tables: run this again then."
    terminal.say(clean(done))


def _run(program: Path, state: State, environ: Mapping[str, str], wanted: CollectorOptions, version: str) -> int:
    arguments = ["--config", str(state.configuration), *CollectorVersion.parse(version).arguments]
    clean = Redactor(wanted.secrets.values())
    judged = subprocess.run(
        [program, "validate", *arguments],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if judged.returncode:
        raise OperationError(
            f"the collector does not accept its configuration: {clean(judged.stdout + judged.stderr).strip()}",
            where=str(state.configuration),
        )
    ended = process.run(
        [str(program), *arguments],
        directory=state.folder,
        environment=environ,
        show=terminal.say,
        clean=clean,
        insist=signal.SIGKILL,
    )
    terminal.say(f"the collector has ended with exit code {ended.code}")
    return ended.code if ended.code >= 0 else 128 - ended.code
