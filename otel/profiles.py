"""The named profiles as data: which signals go where, and how they are gathered into batches."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """How long signals are gathered (seconds), and how many at most before a batch leaves early."""

    seconds: int
    items: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """One pipeline: a signal (`traces`, `metrics` or `logs`; `traces/name` where there are several).

    Components are named as in a collector configuration; `otel.component_configs` says what each name means.
    Batching is not named: where it happens depends on exporters and collector version (`otel.pipelines`).
    """

    signal: str
    receivers: tuple[str, ...]
    processors: tuple[str, ...]
    exporters: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What a collector does with what it gets."""

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
        """Whether there is something on disk that must outlive the collector."""
        return "file_storage" in self.extensions


LOW_LATENCY = Batch(seconds=1, items=1024)
HIGH_THROUGHPUT = Batch(seconds=10, items=8192)

# Refuse first, then drop what nobody wants, then rewrite what is left.
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
    """Logs of clients that send some, and the servers' log files: a server sends none itself."""
    return Pipeline(signal="logs", receivers=("otlp", "filelog/letta"), processors=_LOGS, exporters=exporters)


FILE_DEV = Profile(
    name="file-dev",
    batch=LOW_LATENCY,
    # The server sends metrics wherever it sends traces: refused, they are an error in its log every minute.
    pipelines=(_traces("file/traces"), _metrics("file/metrics")),
)
# The seed's two differ in the address that they listen on, which is the container's networks' matter here.
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
