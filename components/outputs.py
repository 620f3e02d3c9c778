"""What a stack exports: the addresses at which a user reaches it."""

from __future__ import annotations

from urllib.parse import quote

import pulumi

from components.postgres import PORT as POSTGRES_PORT
from settings import Settings

DASHBOARD = "letta-service"
"""Uid of the dashboard of `otel/dashboards/` that a stack links to."""


def _host(bind_address: str) -> str:
    """Return the name by which a published port is reached from this machine."""
    return "localhost" if bind_address in {"127.0.0.1", "0.0.0.0"} else bind_address  # noqa: S104


def data_services(settings: Settings, postgres_uri: pulumi.Output[str]) -> dict[str, pulumi.Input[object]]:
    """Return the addresses of Postgres and Redis where they are published; the former is a secret."""
    host = _host(settings.bind_address)
    inside, outside = f"@postgres:{POSTGRES_PORT}/", f"@{host}:{settings.postgres_port}/"
    return {
        "postgresUrl": postgres_uri.apply(lambda uri: uri.replace(inside, outside)),
        "redisUrl": f"redis://{host}:{settings.redis_port}",
    }


def endpoints(settings: Settings) -> dict[str, pulumi.Input[object]]:
    """Return the addresses of the API and of the collector."""
    host = _host(settings.bind_address)
    api = f"http://{host}:{settings.api_port}"
    otlp = "https" if settings.require_tls else "http"
    return {
        "apiUrl": api,
        "docsUrl": f"{api}/docs",
        "healthUrl": f"{api}/v1/health/",
        "otlpGrpcEndpoint": f"{otlp}://{host}:{settings.otlp_grpc_port}",
        "otlpHttpEndpoint": f"{otlp}://{host}:{settings.otlp_http_port}",
        "collectorHealthUrl": f"http://{host}:{settings.collector_health_port}/",
        "collectorMetricsUrl": f"http://{host}:{settings.collector_metrics_port}/metrics",
    }


def grafana(settings: Settings, stack_id: pulumi.Output[str]) -> dict[str, pulumi.Input[object]]:
    """Return a link to this stack's traces, found by the device id that collectors put on every signal."""
    if not settings.grafana_url:
        return {}
    link = f"{str(settings.grafana_url).rstrip('/')}/d/{DASHBOARD}?var-device_id="
    return {"grafanaTracesUrl": stack_id.apply(lambda known: link + quote(known))}
