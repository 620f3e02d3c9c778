"""The pieces of a collector configuration: one function for each component that a pipeline may name."""

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
    """Receive OTLP from servers; from outside, too, where no token is asked for."""
    return _otlp(context, context.layout.grpc_port, context.layout.http_port)


def otlp_outside(context: ConfigContext) -> Component:
    """Receive OTLP from whoever shows the token."""
    layout = context.layout
    made = _otlp(context, layout.outside_grpc_port, layout.outside_http_port)
    for protocol in made["protocols"].values():
        protocol["auth"] = {"authenticator": TOKEN_EXTENSION}
    return made


def _otlp(context: ConfigContext, grpc_port: int, http_port: int) -> Component:
    """Listen on two ports.

    The server's spans may carry 2 MB in one attribute, and a batch of them more than gRPC's usual 4 MiB.
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
    """Know the token of clients from outside."""
    return {"scheme": "Bearer", "token": reference(OTLP_TOKEN, context.layout)}


def memory_limiter(context: ConfigContext) -> Component:
    """Refuse data (clients retry) before the kernel kills the process.

    Three quarters of the container, a quarter of that for spikes (1024/256 MiB in 1365 MiB). The rest is
    what the process needs beyond its heap.
    """
    limit = context.memory_mib * 3 // 4
    return {"check_interval": "1s", "limit_mib": limit, "spike_limit_mib": limit // 4}


def filter_probes(_: ConfigContext) -> Component:
    """Drop the request spans of health routes, which only probes call.

    A filter sees one span at a time: it can take out a whole trace only if it knows each span of it. So the
    deep probe (`GET /v1/agents/`, a route of clients too) is not for a filter; the server must not trace it.
    """
    return {
        "error_mode": "ignore",
        "traces": {"span": ['IsMatch(name, "^GET /(v1|latest)/(health|ready)/?$")']},
    }


def resource(context: ConfigContext) -> Component:
    """Say on every signal which stack it is from, in the same words."""
    said = {"deployment.environment": context.environment, "device.id": context.device_id}
    return {
        "attributes": [{"key": key, "value": value, "action": "upsert"} for key, value in said.items() if value]
    }


def transform_names(_: ConfigContext) -> Component:
    """Say method and status of requests also by the names that Datadog knows.

    The seed asked its exporter for that by `span_name_remappings`, which renames operations, not attributes.
    """
    names = {"http.method": "http.request.method", "http.status_code": "http.response.status_code"}
    statements = [
        f'set(attributes["{new}"], attributes["{old}"]) where attributes["{old}"] != nil'
        for old, new in names.items()
    ]
    return {"error_mode": "ignore", "trace_statements": [{"context": "span", "statements": statements}]}


def batch(context: ConfigContext) -> Component:
    """Gather signals into batches of the profile's size."""
    return {
        "timeout": f"{context.profile.batch.seconds}s",
        "send_batch_size": context.profile.batch.items,
    }


def batch_datadog(_: ConfigContext) -> Component:
    """Gather for Datadog's own exporter: statistics are made for 10 seconds, and large requests are refused."""
    return {"timeout": "10s", "send_batch_size": 100, "send_batch_max_size": 1000}


def file(name: str) -> Callable[[ConfigContext], Component]:
    """Write JSON lines to a file in the place's data directory: 100 MB each, 5 old ones, at most 7 days."""

    def component(context: ConfigContext) -> Component:
        made = {"create_directory": True} if context.version.has(Feature.FILE_CREATE_DIRECTORY) else {}
        rotation = {"max_megabytes": 100, "max_days": 7, "max_backups": 5}
        return {"path": f"{context.layout.data_directory}/{name}", **made, "rotation": rotation}

    return component


def health_check(context: ConfigContext) -> Component:
    """Answer health checks; recent versions listen on localhost only unless told otherwise."""
    return {"endpoint": f"{context.layout.address}:{context.layout.health_port}"}


def telemetry(context: ConfigContext) -> Component:
    """Give the collector's own logs and metrics; `without_…` keeps metric names equal across versions."""
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

# A name that owns a queue or offsets on disk must never change: the new one would not find what the old one left.
# So `filelog` and `otlp` keep the names that all versions know; recent ones warn at their start that they are old.
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
