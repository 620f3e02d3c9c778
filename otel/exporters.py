"""Exporters over a network, with queues on disk: what a sender got acknowledged is kept until it is delivered.

Each signal has an exporter of its own, because a queue's limit is set per exporter, and spans need most of it.
"""

from __future__ import annotations

from otel.config_context import Component, ConfigContext
from otel.errors import ConfigurationError
from otel.secrets import CLICKHOUSE_PASSWORD, DATADOG_API_KEY, SIGNOZ_INGESTION_KEY, reference
from otel.versions import Feature

STORAGE = "file_storage"

# Backends refuse larger requests: gRPC's default limit is 4 MiB, Datadog's for traces 3.2 MB.
_MAX_REQUEST_BYTES = 3_000_000
_MIN_REQUEST_BYTES = 1_000_000
_CONSUMERS = 4
"""How many requests of one queue are in flight at a time."""

_BATCH_BY_BYTES: Component = {"sizer": "bytes", "min_size": _MIN_REQUEST_BYTES, "max_size": _MAX_REQUEST_BYTES}


def file_storage(context: ConfigContext) -> Component:
    """Keep queues and offsets on disk. Every write is flushed, so that a power cut loses none.

    A damaged file is moved aside where the version supports that; otherwise the collector does not start until the
    operator removes it. The file shrinks only by compaction.
    """
    optional: Component = {}
    if context.version.has(Feature.STORAGE_CREATE_DIRECTORY):
        optional["create_directory"] = True
    if context.version.has(Feature.STORAGE_RECREATE):
        optional["recreate"] = True
    return {
        "directory": context.layout.queue_directory,
        **optional,
        "timeout": "10s",
        "fsync": True,
        "compaction": {"on_rebound": True, "directory": context.layout.queue_directory},
    }


def clickhouse(context: ConfigContext, signal: str) -> Component:
    """Insert over HTTP into existing tables (`otel.clickhouse`), in batches of the profile's size."""
    target = context.destinations.clickhouse
    if target is None:
        raise _missing(context, "ClickHouse's endpoint")
    component: Component = {
        "endpoint": target.address,
        "database": target.database,
        "username": target.username,
        "password": reference(CLICKHOUSE_PASSWORD, context.layout),
    }
    if context.version.has(Feature.CLICKHOUSE_SCHEMA_SWITCH):
        component["create_schema"] = False
    if context.version.has(Feature.CLICKHOUSE_ASYNC_SWITCH):
        # Batches are large enough for one part per insert, and ClickHouse acknowledges an asynchronous insert
        # before it is on disk.
        component["async_insert"] = False
    batch = context.profile.batch
    return {
        **component,
        "timeout": "10s",
        **_queue_and_retry(
            context, signal, {"sizer": "items", "min_size": batch.items, "max_size": 2 * batch.items}
        ),
    }


def signoz(context: ConfigContext, signal: str) -> Component:
    """Send OTLP over gRPC with SigNoz's ingestion key."""
    target = context.destinations.signoz
    if target is None:
        raise _missing(context, "SigNoz's endpoint")
    return {
        "endpoint": target.address,
        **({"tls": {"insecure": True}} if target.plain else {}),
        "headers": {"signoz-ingestion-key": reference(SIGNOZ_INGESTION_KEY, context.layout)},
        "timeout": "10s",
        **_queue_and_retry(context, signal, _BATCH_BY_BYTES),
    }


def datadog_over_otlp(context: ConfigContext, signal: str) -> Component:
    """Send OTLP over HTTP to Datadog's intake, which derives paths (`/v1/traces`, …) from one endpoint."""
    return {
        "endpoint": f"https://otlp.{_datadog_site(context)}",
        "headers": {"dd-api-key": reference(DATADOG_API_KEY, context.layout)},
        "timeout": "10s",
        **_queue_and_retry(context, signal, _BATCH_BY_BYTES),
    }


def datadog(context: ConfigContext, signal: str) -> Component:
    """Send with Datadog's own exporter, which never retries traces, whatever is configured."""
    return {
        "api": {"site": _datadog_site(context), "key": reference(DATADOG_API_KEY, context.layout)},
        # Datadog would count the collector's container as a host.
        "host_metadata": {"enabled": False},
        **(_datadog_traces(context) if signal == "traces" else {}),
        **_queue_and_retry(context, signal, _BATCH_BY_BYTES),
    }


def datadog_connector(context: ConfigContext) -> Component:
    """Compute Datadog's statistics of spans, under the same names as in the exporter."""
    return _datadog_traces(context)


def _datadog_traces(context: ConfigContext) -> Component:
    return {
        "traces": {
            # As in upstream's original configuration: Datadog shows a span under its own name.
            "span_name_as_resource_name": True,
            # What does not fit into the buffer is dropped; without one that is most of a batch, because a batch is
            # split by the senders' requests and may contain as many of those as spans.
            "trace_buffer": _CONSUMERS * context.profile.batch.items,
        }
    }


def _queue_and_retry(context: ConfigContext, signal: str, batch: Component) -> Component:
    """Return queue and retry settings: kept on disk, retried until it succeeds, batched when it leaves the queue.

    Where the version cannot batch there, a processor batches before the queue, and the queue's limit is a number
    of requests: as many as hold the bytes, or one per batch time of the outage, whichever is more.
    """
    queue_budget = context.queue_budget
    size = queue_budget.queue_bytes(signal)
    queue: Component = {"enabled": True, "storage": STORAGE, "num_consumers": _CONSUMERS}
    if context.version.has(Feature.QUEUE_BATCH):
        flush = {"flush_timeout": f"{context.profile.batch.seconds}s"}
        queue |= {"sizer": "bytes", "queue_size": size, "batch": {**flush, **batch}}
    else:
        full = -(-size // (context.profile.batch.items * queue_budget.span_bytes))
        queue["queue_size"] = max(full, -(-queue_budget.outage_seconds // context.profile.batch.seconds))
    return {
        "sending_queue": queue,
        "retry_on_failure": {
            "enabled": True,
            "initial_interval": "5s",
            "max_interval": "30s",
            # Never give up: what cannot be delivered stays in the queue, and an alert fires on the queue's size.
            "max_elapsed_time": "0s",
        },
    }


def _datadog_site(context: ConfigContext) -> str:
    if context.destinations.datadog is None:
        raise _missing(context, "Datadog's site")
    return context.destinations.datadog.site


def _missing(context: ConfigContext, what: str) -> ConfigurationError:
    return ConfigurationError(f"profile {context.profile.name} needs {what}")
