"""`collector run`: a collector in the foreground, with options from environment variables."""

from __future__ import annotations

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
from operations.engine.protocol import Container, EngineUnreachableError
from operations.host_collector import environment, tables
from operations.host_collector.environment import CollectorOptions
from operations.host_collector.install import install, refuse_unknown
from operations.host_collector.state import State
from otel.versions import CollectorVersion, Feature
from toolchain import docker_endpoint, locations

MEMORY_MIB = 1366
"""Memory for the process; its limiter refuses signals at 1,024 MiB, as in upstream's original configuration."""


def run(
    *,
    version: str,
    profile: str | None,
    development: bool,
    layout: otel.ListenLayout,
    retention_days: int,
    environ: Mapping[str, str],
) -> int:
    """Run a collector until it ends or is stopped (SIGINT, SIGTERM), and return its exit code.

    Args:
        version: of the collector; it is installed when missing.
        profile: name of a profile; None: chosen by the variables.
        development: whether to choose the development variant.
        layout: addresses and ports; its folders are replaced by those of the user.
        retention_days: for tables that are created in ClickHouse.
        environ: variables; no child process gets the secrets among them.

    Raises:
        OperationError: when it cannot run.
        toolchain.errors.StepFailedError: when the collector cannot be installed.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As for Ctrl-C, so that files with secrets are removed however it ends.
        signal.signal(number, signal.default_int_handler)
    refuse_unknown(version)
    options = environment.read(environ, version=version, profile=profile, development=development)
    plain_environ = environment.without_secrets(environ)
    state = State(locations.state_home(environ) / "collector")
    with state.held():
        device_id = state.device_id()
        refuse_taken_ports(layout, plain_environ)
        try:
            layout = replace(
                layout,
                data_directory=str(state.data),
                secrets_directory=str(state.secrets),
                log_directory=str(options.letta_folder),
            )
            text = _configuration(options, layout, version, device_id)
        except otel.ConfigurationError as error:
            raise OperationError(f"no collector can be configured: {error}") from None
        program = install(version, plain_environ).program
        for line in description(options, layout, version, device_id):
            terminal.say(line)
        _prepare_clickhouse(options, version, retention_days)
        locations.private_folder(Path(layout.queue_directory))
        state.write_configuration(text)
        with state.secret_files(options.secret_files):
            limited = {**plain_environ, "GOMEMLIMIT": otel.go_memory_limit(MEMORY_MIB)}
            return _run(program, state, limited, version)


def _configuration(options: CollectorOptions, layout: otel.ListenLayout, version: str, device_id: str) -> str:
    config = otel.compose(
        options.choice.profile,
        version=version,
        memory_mib=MEMORY_MIB,
        destinations=options.destinations,
        environment=options.environment,
        device_id=device_id,
        log_directories=("logs",),
        layout=layout,
    )
    return otel.render(config)


def refuse_taken_ports(layout: otel.ListenLayout, environ: Mapping[str, str]) -> None:
    """Check that the collector's ports are free.

    Raises:
        OperationError: when they are not, with what uses them.
    """
    chosen = {
        "--grpc-port": layout.grpc_port,
        "--http-port": layout.http_port,
        "--health-port": layout.health_port,
        "--metrics-port": layout.metrics_port,
    }
    if len(set(chosen.values())) < len(chosen):
        raise OperationError("two ports are the same", where=", ".join(chosen))
    wanted = [ports.WantedPort(key=option, address=layout.address, port=port) for option, port in chosen.items()]
    if not any(ports.bind_error(one.address, one.port) for one in wanted):
        return
    # For no stack: the containers of all stacks count as others.
    found = [one for one in ports.check("", wanted, _containers(environ)) if one.state is not ports.PortState.FREE]
    if found:
        raise OperationError(
            "the collector cannot listen on its ports",
            where="; ".join(f"{one.wanted.address}:{one.wanted.port}: {one.holder}" for one in found),
            fix=["stop what uses them", f"or choose others: {', '.join(one.wanted.key for one in found)}"],
        )


def _containers(environ: Mapping[str, str]) -> tuple[Container, ...]:
    from operations.engine.docker_engine import connect

    host = docker_endpoint.variable(environ)
    try:
        return tuple(connect({**environ, **({"DOCKER_HOST": host} if host else {})}).containers())
    except EngineUnreachableError:
        return ()


def description(
    options: CollectorOptions, layout: otel.ListenLayout, version: str, device_id: str
) -> Iterator[str]:
    """Yield lines that say what the collector will do, and where."""
    profile = options.choice.profile
    exporters = {exporter for pipeline in profile.pipelines for exporter in pipeline.exporters}
    yield f"profile {options.choice.reason}"
    for limitation in otel.limitations(profile, version=version):
        yield f"note: {limitation}"
    at = layout.address
    yield f"receives OTLP: http://{at}:{layout.http_port} (HTTP), http://{at}:{layout.grpc_port} (gRPC)"
    yield f"health: http://{at}:{layout.health_port}; own metrics: http://{at}:{layout.metrics_port}/metrics"
    if any(name.startswith("file/") for name in exporters):
        yield f"files: {layout.data_directory}/{otel.TRACES_FILE}, {otel.METRICS_FILE}"
    if "clickhouse" in exporters and options.destinations.clickhouse:
        clickhouse = options.destinations.clickhouse
        yield f"sends to: ClickHouse {clickhouse.address}, database {clickhouse.database}"
    if "datadog" in exporters and options.destinations.datadog:
        yield f"sends to: Datadog {options.destinations.datadog.site}"
    if "otlp/signoz" in exporters and options.destinations.signoz:
        yield f"sends to: SigNoz {options.destinations.signoz.address}"
    if any(pipeline.signal == "logs" for pipeline in profile.pipelines):
        yield f"reads logs: {layout.log_directory}/logs/Letta.log*"
    if options.grafana_url:
        yield f"traces: {options.grafana_url}/d/letta-service?var-device_id={quote(device_id, safe='')}"
    else:
        yield f"device id: {device_id} (with GRAFANA_URL: a link to its traces)"


def _prepare_clickhouse(options: CollectorOptions, version: str, retention_days: int) -> None:
    target = options.destinations.clickhouse
    if target is None or otel.CLICKHOUSE_PASSWORD not in options.secret_files:
        return
    try:
        done = tables.ensure(target, options.secrets["CLICKHOUSE_PASSWORD"], retention_days=retention_days)
    except tables.UndeliverableError as error:
        if not CollectorVersion.parse(version).has(Feature.CLICKHOUSE_SCHEMA_SWITCH):
            raise OperationError(
                f"{error}. Collector {version} does not start without it, because it creates the tables itself",
                where="CLICKHOUSE_ENDPOINT",
                fix=["start ClickHouse first", f"or use collector {otel.DEFAULT_VERSION}, which waits for it"],
            ) from None
        done = (
            f"warning: {error}. Signals wait in the queue until the tables exist: run this again to create them."
        )
    terminal.say(done)


def _run(program: Path, state: State, environ: Mapping[str, str], version: str) -> int:
    arguments = ["--config", str(state.configuration), *CollectorVersion.parse(version).arguments]
    validation = subprocess.run(
        [program, "validate", *arguments],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if validation.returncode:
        raise OperationError(
            f"the collector rejects its configuration: {(validation.stdout + validation.stderr).strip()}",
            where=str(state.configuration),
        )
    ended = process.run(
        [str(program), *arguments],
        directory=state.folder,
        environment=environ,
        insist=signal.SIGKILL,
    )
    terminal.say(f"the collector has ended with exit code {ended.code}")
    return ended.code if ended.code >= 0 else 128 - ended.code
