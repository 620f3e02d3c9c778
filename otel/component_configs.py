"""The configuration of each component that a pipeline may name: one function per component."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from otel import exporters
from otel.config_context import Component, ConfigContext
from otel.filelog import filelog
from otel.secrets import OTLP_TOKEN, reference
from otel.signal_redaction import transform
from otel.versions import Feature

TRACES_FILE = "traces.json"
METRICS_FILE = "metrics.json"
LARGEST_REQUEST_MIB = 16
TOKEN_EXTENSION = "bearertokenauth/outside"  # noqa: S105 - a component's name


def otlp(context: ConfigContext) -> Component:
    """Receive OTLP from servers, and from outside clients where no token is required."""
    return _otlp(context, context.layout.grpc_port, context.layout.http_port)


def otlp_outside(context: ConfigContext) -> Component:
    """Receive OTLP from outside clients, which must send the token."""
    layout = context.layout
    receiver = _otlp(context, layout.outside_grpc_port, layout.outside_http_port)
    for protocol in receiver["protocols"].values():
        protocol["auth"] = {"authenticator": TOKEN_EXTENSION}
    return receiver


def _otlp(context: ConfigContext, grpc_port: int, http_port: int) -> Component:
    """Return a receiver for gRPC and HTTP.

    The server's spans may carry 2 MB in one attribute, so a batch can exceed gRPC's default limit of 4 MiB.
    """
    layout = context.layout
    certificates = layout.certificates_directory
    tls = {
        "cert_file": f"{certificates}/server.pem",
        "key_file": f"{certificates}/server-key.pem",
        "reload_interval": "1h",
    }
    common: Component = {"tls": tls} if context.receiver_security.tls else {}
    return {
        "protocols": {
            "grpc": {
                "endpoint": f"{layout.address}:{grpc_port}",
                "max_recv_msg_size_mib": LARGEST_REQUEST_MIB,
                **common,
            },
            "http": {
                "endpoint": f"{layout.address}:{http_port}",
                "max_request_body_size": LARGEST_REQUEST_MIB << 20,
                **common,
            },
        }
    }


def token(context: ConfigContext) -> Component:
    """Authenticate outside clients by their token."""
    return {"scheme": "Bearer", "token": reference(OTLP_TOKEN, context.layout)}


def memory_limiter(context: ConfigContext) -> Component:
    """Refuse data (clients retry) before the kernel kills the process.

    The limit is three quarters of the container's memory, a quarter of it for spikes (1024 and 256 MiB of 1366).
    The process needs the rest in addition to its heap.
    """
    limit = context.memory_mib * 3 // 4
    return {"check_interval": "1s", "limit_mib": limit, "spike_limit_mib": limit // 4}


def filter_probes(_: ConfigContext) -> Component:
    """Drop the request spans of health routes, which only probes call.

    A filter sees one span at a time, so it can drop a trace only if it recognises each of its spans. It cannot
    drop the deep health probe (`GET /v1/agents/`, which clients call too); the server must not trace that one.
    """
    return {
        "error_mode": "ignore",
        "traces": {"span": ['IsMatch(name, "^GET /(v1|latest)/(health|ready)/?$")']},
    }


def resource(context: ConfigContext) -> Component:
    """Name the stack on every signal, with the same attributes."""
    stack = {"deployment.environment": context.environment, "device.id": context.device_id}
    return {
        "attributes": [{"key": key, "value": value, "action": "upsert"} for key, value in stack.items() if value]
    }


def transform_names(_: ConfigContext) -> Component:
    """Copy method and status of requests to the attribute names that Datadog uses.

    Upstream's original configuration used the exporter's `span_name_remappings`, which renames operations, not
    attributes.
    """
    names = {"http.method": "http.request.method", "http.status_code": "http.response.status_code"}
    statements = [
        f'set(attributes["{new}"], attributes["{old}"]) where attributes["{old}"] != nil'
        for old, new in names.items()
    ]
    return {"error_mode": "ignore", "trace_statements": [{"context": "span", "statements": statements}]}


def batch(context: ConfigContext) -> Component:
    """Batch signals by the profile's size and time."""
    return {
        "timeout": f"{context.profile.batch.seconds}s",
        "send_batch_size": context.profile.batch.items,
    }


def batch_datadog(_: ConfigContext) -> Component:
    """Batch for Datadog's own exporter: its statistics cover 10 seconds, and Datadog refuses large requests."""
    return {"timeout": "10s", "send_batch_size": 100, "send_batch_max_size": 1000}


def file(name: str) -> Callable[[ConfigContext], Component]:
    """Return the exporter that writes JSON lines to files: 100 MB each, 5 rotated ones, at most 7 days."""

    def component(context: ConfigContext) -> Component:
        directory = {"create_directory": True} if context.version.has(Feature.FILE_CREATE_DIRECTORY) else {}
        rotation = {"max_megabytes": 100, "max_days": 7, "max_backups": 5}
        return {"path": f"{context.layout.data_directory}/{name}", **directory, "rotation": rotation}

    return component


def health_check(context: ConfigContext) -> Component:
    """Answer health checks; recent versions listen on localhost unless an endpoint is set."""
    return {"endpoint": f"{context.layout.address}:{context.layout.health_port}"}


def telemetry(context: ConfigContext) -> Component:
    """Return the collector's own telemetry; `without_…` keeps metric names equal across versions."""
    metrics: Component = {"level": "normal"}
    layout = context.layout
    if context.version.has(Feature.METRICS_READERS):
        exporter = {
            "host": layout.address,
            "port": layout.metrics_port,
            "without_type_suffix": True,
            "without_units": True,
            "without_scope_info": True,
        }
        metrics["readers"] = [{"pull": {"exporter": {"prometheus": exporter}}}]
    else:
        metrics["address"] = f"{layout.address}:{layout.metrics_port}"
    return {"logs": {"level": context.level, "encoding": "json"}, "metrics": metrics}


_SIGNALS = ("traces", "metrics", "logs")

# The name of a component with a queue or offsets on disk must never change: under a new name it would not find
# them. So `filelog` and `otlp` keep the names that all versions know; recent versions warn at start that these are
# deprecated.
COMPONENTS: Mapping[str, Mapping[str, Callable[[ConfigContext], Component]]] = MappingProxyType(
    {
        "extensions": {
            "health_check": health_check,
            "file_storage": exporters.file_storage,
            TOKEN_EXTENSION: token,
        },
        "receivers": {"otlp": otlp, "otlp/outside": otlp_outside, "filelog/letta": filelog},
        "processors": {
            "memory_limiter": memory_limiter,
            "filter/probes": filter_probes,
            "resource": resource,
            "transform/redaction": transform,
            "transform/names": transform_names,
            "batch": batch,
            "batch/datadog": batch_datadog,
        },
        "connectors": {"datadog/connector": exporters.datadog_connector},
        "exporters": {
            "file/traces": file(TRACES_FILE),
            "file/metrics": file(METRICS_FILE),
            **{f"clickhouse/{signal}": partial(exporters.clickhouse, signal=signal) for signal in _SIGNALS},
            **{f"otlp/signoz-{signal}": partial(exporters.signoz, signal=signal) for signal in _SIGNALS},
            **{f"datadog/{signal}": partial(exporters.datadog, signal=signal) for signal in _SIGNALS},
            **{
                f"otlp_http/datadog-{signal}": partial(exporters.datadog_over_otlp, signal=signal)
                for signal in _SIGNALS
            },
        },
    }
)
