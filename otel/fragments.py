"""The pieces of a collector configuration: one function for each component that a profile may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from otel.profiles import Profile
from otel.versions import CollectorVersion, Feature

DATA_DIRECTORY = "/var/lib/otelcol"
TRACES_FILE = "traces.json"
METRICS_FILE = "metrics.json"
GRPC_PORT, HTTP_PORT, HEALTH_PORT, METRICS_PORT = 4317, 4318, 13133, 8888

Component = dict[str, Any]


class ConfigurationError(ValueError):
    """A configuration that cannot be composed; the message says what was asked for and what there is."""


class Reference(str):
    """Text that the collector itself is to expand (`${file:/run/secrets/…}`), and so is rendered as it is."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What a fragment may depend on. `memory_mib` is the container's memory limit in MiB."""

    profile: Profile
    version: CollectorVersion
    level: str
    memory_mib: int


def otlp(_: Situation) -> Component:
    """Receive OTLP. All interfaces, because the container's networks decide who can reach it.

    The server's spans may carry 2 MB in one attribute, and a batch of them more than gRPC's usual 4 MiB.
    """
    return {
        "protocols": {
            "grpc": {"endpoint": f"0.0.0.0:{GRPC_PORT}", "max_recv_msg_size_mib": 16},
            "http": {"endpoint": f"0.0.0.0:{HTTP_PORT}"},
        }
    }


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


def batch(situation: Situation) -> Component:
    """Gather signals into batches of the profile's size."""
    return {
        "timeout": f"{situation.profile.batch.seconds}s",
        "send_batch_size": situation.profile.batch.items,
    }


def file(name: str) -> Callable[[Situation], Component]:
    """Write JSON lines to a file in the data directory: 100 MB each, 5 old ones, at most 7 days."""

    def component(situation: Situation) -> Component:
        made = {"create_directory": True} if situation.version.has(Feature.FILE_CREATE_DIRECTORY) else {}
        rotation = {"max_megabytes": 100, "max_days": 7, "max_backups": 5}
        return {"path": f"{DATA_DIRECTORY}/{name}", **made, "rotation": rotation}

    return component


def health_check(_: Situation) -> Component:
    """Answer health checks; recent versions listen on localhost only unless told otherwise."""
    return {"endpoint": f"0.0.0.0:{HEALTH_PORT}"}


def telemetry(situation: Situation) -> Component:
    """Give the collector's own logs and metrics; `without_…` keeps metric names equal across versions."""
    metrics: Component = {"level": "normal"}
    if situation.version.has(Feature.METRICS_READERS):
        exporter = {
            "host": "0.0.0.0",  # noqa: S104 - see otlp()
            "port": METRICS_PORT,
            "without_type_suffix": True,
            "without_units": True,
            "without_scope_info": True,
        }
        metrics["readers"] = [{"pull": {"exporter": {"prometheus": exporter}}}]
    else:
        metrics["address"] = f"0.0.0.0:{METRICS_PORT}"
    return {"logs": {"level": situation.level, "encoding": "json"}, "metrics": metrics}


# A name that owns a queue or offsets on disk must never change: the new one would not find what the old
# one left.
COMPONENTS: Mapping[str, Mapping[str, Callable[[Situation], Component]]] = MappingProxyType(
    {
        "extensions": {"health_check": health_check},
        "receivers": {"otlp": otlp},
        "processors": {"memory_limiter": memory_limiter, "filter/probes": filter_probes, "batch": batch},
        "exporters": {"file/traces": file(TRACES_FILE), "file/metrics": file(METRICS_FILE)},
    }
)
