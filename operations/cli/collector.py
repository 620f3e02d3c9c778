"""Verbs of the collector that runs on this machine without Docker."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

import typer

app = typer.Typer(
    help="The collector on this machine, without Docker.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Version = Annotated[
    str | None,
    typer.Option(
        "--version",
        envvar="LETTA_COLLECTOR_VERSION",
        help="Version of the collector; default: the version that stacks use by default.",
    ),
]


def _as_in_a_stack(key: str) -> Callable[[], int]:
    """Return what returns a setting's default, which is imported only when the verb runs."""

    def default() -> int:
        from settings.schema import fields

        return int(fields()[key].default)

    return default


def _port(key: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        min=1,
        max=65535,
        default_factory=_as_in_a_stack(key),
        show_default=False,
        help="Port on 127.0.0.1; default: as in a stack.",
    )
    return option


def _retention(days: int) -> int:
    from otel.clickhouse import LONGEST_RETENTION_DAYS

    if not 1 <= days <= LONGEST_RETENTION_DAYS:
        raise typer.BadParameter(f"must be from 1 to {LONGEST_RETENTION_DAYS}")
    return days


@app.command("install")
def install(version: Version = None) -> None:
    """Install the collector if it is missing, damaged or another version.

    Takes the official release, or builds it here.
    """
    import otel
    from operations.host_collector import install as verb

    verb.install(version or otel.DEFAULT_VERSION, os.environ)


@app.command("run")
def run(
    *,
    version: Version = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile; default: chosen from the environment variables.")
    ] = None,
    production: Annotated[bool, typer.Option("--production", help="Choose the production variant.")] = False,
    retention_days: Annotated[
        int,
        typer.Option(
            callback=_retention,
            default_factory=_as_in_a_stack("telemetryRetentionDays"),
            show_default=False,
            help="How long ClickHouse keeps signals in new tables; default: as in a stack.",
        ),
    ],
    grpc_port: Annotated[int, _port("otlpGrpcPort")],
    http_port: Annotated[int, _port("otlpHttpPort")],
    health_port: Annotated[int, _port("collectorHealthPort")],
    metrics_port: Annotated[int, _port("collectorMetricsPort")],
) -> None:
    """Run a collector on this machine until Ctrl-C.

    Variables say where it sends signals: CLICKHOUSE_ENDPOINT with CLICKHOUSE_PASSWORD (optional:
    CLICKHOUSE_USERNAME, CLICKHOUSE_DATABASE), SIGNOZ_ENDPOINT with SIGNOZ_INGESTION_KEY, DD_SITE with DD_API_KEY;
    also LETTA_ENVIRONMENT and GRAFANA_URL. With none of them it writes to files.
    """
    import otel
    from operations.host_collector import run as verb

    code = verb.run(
        version=version or otel.DEFAULT_VERSION,
        profile=profile,
        development=not production,
        layout=otel.ListenLayout(
            address="127.0.0.1",
            grpc_port=grpc_port,
            http_port=http_port,
            health_port=health_port,
            metrics_port=metrics_port,
        ),
        retention_days=retention_days,
        environ=os.environ,
    )
    raise typer.Exit(code)
