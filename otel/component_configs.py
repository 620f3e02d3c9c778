"""The pieces of a collector configuration: one function for each component that a pipeline may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from otel import exporters
from otel.config_context import Component, Situation
from otel.filelog import filelog
from otel.secrets import OTLP_TOKEN, reference
from otel.signal_redaction import transform
from otel.versions import Feature

TRACES_FILE = "traces.json"
METRICS_FILE = "metrics.json"
LARGEST_REQUEST_MIB = 16
TOKEN_EXTENSION = "bearertokenauth/outside"  # noqa: S105 - a component's name


def otlp(situation: Situation) -> Component:
    """Receive OTLP from servers; from outside, too, where no token is asked for."""
    return _otlp(situation, situation.place.grpc_port, situation.place.http_port)


def otlp_outside(situation: Situation) -> Component:
    """Receive OTLP from whoever shows the token."""
    place = situation.place
    made = _otlp(situation, place.outside_grpc_port, place.outside_http_port)
    for protocol in made["protocols"].values():
        protocol["auth"] = {"authenticator": TOKEN_EXTENSION}
    return made


def _otlp(situation: Situation, grpc_port: int, http_port: int) -> Component:
    """Listen on two ports.

    The server's spans may carry 2 MB in one attribute, and a batch of them more than gRPC's usual 4 MiB.
    """
    place = situation.place
    certificates = place.certificates_directory
    tls = {
        "cert_file": f"{certificates}/server.pem",
        "key_file": f"{certificates}/server-key.pem",
        "reload_interval": "1h",
    }
    common: Component = {"tls": tls} if situation.reception.tls else {}
    return {
        "protocols": {
            "grpc": {
                "endpoint": f"{place.address}:{grpc_port}",
                "max_recv_msg_size_mib": LARGEST_REQUEST_MIB,
                **common,
            },
            "http": {
                "endpoint": f"{place.address}:{http_port}",
                "max_request_body_size": LARGEST_REQUEST_MIB << 20,
                **common,
            },
        }
    }


def token(situation: Situation) -> Component:
    """Know the token of clients from outside."""
    return {"scheme": "Bearer", "token": reference(OTLP_TOKEN, situation.place)}


def memory_limiter(situation: Situation) -> Component:
    """Refuse data (clients retry) before the kernel kills the process.

    Three quarters of the container, a quarter of that for spikes (1024/256 MiB in 1365 MiB). The rest is
    what the process needs beyond its heap.
    """
    limit = situation.memory_mib * 3 // 4
    return {"check_interval": "1s", "limit_mib": limit, "spike_limit_mib": limit // 4}


def filter_probes(_: Situation) -> Component:
    """Drop the request spans of health routes, which only probes call.

    A filter sees one span at a time: it can take out a whole trace only if it knows each span of it. So the
    deep probe (`GET /v1/agents/`, a route of clients too) is not for a filter; the server must not trace it.
    """
    return {
        "error_mode": "ignore",
        "traces": {"span": ['IsMatch(name, "^GET /(v1|latest)/(health|ready)/?$")']},
    }


def resource(situation: Situation) -> Component:
    """Say on every signal which stack it is from, in the same words."""
    said = {"deployment.environment": situation.environment, "device.id": situation.device_id}
    return {
        "attributes": [{"key": key, "value": value, "action": "upsert"} for key, value in said.items() if value]
    }


def transform_names(_: Situation) -> Component:
    """Say method and status of requests also by the names that Datadog knows.

    The seed asked its exporter for that by `span_name_remappings`, which renames operations, not attributes.
    """
    names = {"http.method": "http.request.method", "http.status_code": "http.response.status_code"}
    statements = [
        f'set(attributes["{new}"], attributes["{old}"]) where attributes["{old}"] != nil'
        for old, new in names.items()
    ]
    return {"error_mode": "ignore", "trace_statements": [{"context": "span", "statements": statements}]}


def batch(situation: Situation) -> Component:
    """Gather signals into batches of the profile's size."""
    return {
        "timeout": f"{situation.profile.batch.seconds}s",
        "send_batch_size": situation.profile.batch.items,
    }


def batch_datadog(_: Situation) -> Component:
    """Gather for Datadog's own exporter: statistics are made for 10 seconds, and large requests are refused."""
    return {"timeout": "10s", "send_batch_size": 100, "send_batch_max_size": 1000}


def file(name: str) -> Callable[[Situation], Component]:
    """Write JSON lines to a file in the place's data directory: 100 MB each, 5 old ones, at most 7 days."""

    def component(situation: Situation) -> Component:
        made = {"create_directory": True} if situation.version.has(Feature.FILE_CREATE_DIRECTORY) else {}
        rotation = {"max_megabytes": 100, "max_days": 7, "max_backups": 5}
        return {"path": f"{situation.place.data_directory}/{name}", **made, "rotation": rotation}

    return component


def health_check(situation: Situation) -> Component:
    """Answer health checks; recent versions listen on localhost only unless told otherwise."""
    return {"endpoint": f"{situation.place.address}:{situation.place.health_port}"}


def telemetry(situation: Situation) -> Component:
    """Give the collector's own logs and metrics; `without_…` keeps metric names equal across versions."""
    metrics: Component = {"level": "normal"}
    place = situation.place
    if situation.version.has(Feature.METRICS_READERS):
        exporter = {
            "host": place.address,
            "port": place.metrics_port,
            "without_type_suffix": True,
            "without_units": True,
            "without_scope_info": True,
        }
        metrics["readers"] = [{"pull": {"exporter": {"prometheus": exporter}}}]
    else:
        metrics["address"] = f"{place.address}:{place.metrics_port}"
    return {"logs": {"level": situation.level, "encoding": "json"}, "metrics": metrics}


_SIGNALS = ("traces", "metrics", "logs")

# A name that owns a queue or offsets on disk must never change: the new one would not find what the old one left.
# So `filelog` and `otlp` keep the names that all versions know; recent ones warn at their start that they are old.
COMPONENTS: Mapping[str, Mapping[str, Callable[[Situation], Component]]] = MappingProxyType(
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
