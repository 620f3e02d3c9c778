"""The named profiles as data: which signals are sent where, and how they are batched."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """How long signals are collected into a batch (seconds), and the number that sends a batch early."""

    seconds: int
    items: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """One pipeline: a signal (`traces`, `metrics` or `logs`; `traces/name` where there are several).

    Components are named as in a collector configuration; `otel.component_configs` defines each of them.
    Batching is not declared here: where it happens depends on exporters and collector version (`otel.pipelines`).
    """

    signal: str
    receivers: tuple[str, ...]
    processors: tuple[str, ...]
    exporters: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What a collector does with the signals that it receives."""

    name: str
    batch: Batch
    pipelines: tuple[Pipeline, ...]
    extensions: tuple[str, ...] = ("health_check",)

    def uses(self, component: str) -> bool:
        """Whether a pipeline names `component`, as a receiver, processor or exporter."""
        return any(
            component in (*pipeline.receivers, *pipeline.processors, *pipeline.exporters)
            for pipeline in self.pipelines
        )

    @property
    def keeps_queues(self) -> bool:
        """Whether it has queues or offsets on disk, which must outlive the collector."""
        return "file_storage" in self.extensions


LOW_LATENCY = Batch(seconds=1, items=1024)
HIGH_THROUGHPUT = Batch(seconds=10, items=8192)

# Refuse first, then drop, then rewrite what is left.
_TRACES = ("memory_limiter", "filter/probes", "resource", "transform/redaction")
_METRICS = ("memory_limiter", "resource")
_LOGS = ("memory_limiter", "resource", "transform/redaction")


def _traces(*exporters: str) -> Pipeline:
    return Pipeline(signal="traces", receivers=("otlp",), processors=_TRACES, exporters=exporters)


def _renamed(traces: Pipeline) -> Pipeline:
    return replace(traces, processors=(*traces.processors, "transform/names"))


def _metrics(*exporters: str) -> Pipeline:
    return Pipeline(signal="metrics", receivers=("otlp",), processors=_METRICS, exporters=exporters)


def _logs(*exporters: str) -> Pipeline:
    """Logs that clients send, and the servers' log files: a server itself sends no logs."""
    return Pipeline(signal="logs", receivers=("otlp", "filelog/letta"), processors=_LOGS, exporters=exporters)


FILE_DEV = Profile(
    name="file-dev",
    batch=LOW_LATENCY,
    # The server sends metrics wherever it sends traces; were they refused, it would log an error every minute.
    pipelines=(_traces("file/traces"), _metrics("file/metrics")),
)
# Upstream's original two files differ in the listen address, which the container's networks decide here.
FILE = replace(FILE_DEV, name="file")
CLICKHOUSE_DEV = Profile(
    name="clickhouse-dev",
    batch=LOW_LATENCY,
    pipelines=(_traces("file/traces", "clickhouse"), _metrics("file/metrics", "clickhouse")),
    extensions=("health_check", "file_storage"),
)
CLICKHOUSE = Profile(
    name="clickhouse",
    batch=HIGH_THROUGHPUT,
    pipelines=(_traces("clickhouse"), _metrics("clickhouse"), _logs("clickhouse")),
    extensions=("health_check", "file_storage"),
)
CLICKHOUSE_PROD = Profile(
    name="clickhouse-prod",
    batch=HIGH_THROUGHPUT,
    pipelines=(
        _renamed(_traces("clickhouse", "datadog")),
        _metrics("clickhouse", "datadog"),
        _logs("clickhouse", "datadog"),
    ),
    extensions=("health_check", "file_storage"),
)
SIGNOZ = Profile(
    name="signoz",
    batch=HIGH_THROUGHPUT,
    pipelines=(_traces("otlp/signoz"), _metrics("otlp/signoz"), _logs("otlp/signoz")),
    extensions=("health_check", "file_storage"),
)

PROFILES: dict[str, Profile] = {
    profile.name: profile for profile in (FILE_DEV, FILE, CLICKHOUSE_DEV, CLICKHOUSE, CLICKHOUSE_PROD, SIGNOZ)
}
