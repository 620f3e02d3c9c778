"""Exporters over a network, with their queues: what was acknowledged to a sender survives until it is delivered.

Each signal has an exporter of its own, because a queue's limit belongs to the exporter and spans need most of
the disk.
"""

from __future__ import annotations

from otel.config_context import Component, ConfigContext
from otel.errors import ConfigurationError
from otel.secrets import CLICKHOUSE_PASSWORD, DATADOG_API_KEY, SIGNOZ_INGESTION_KEY, reference
from otel.versions import Feature

STORAGE = "file_storage"

# Receivers refuse large requests: gRPC's usual limit is 4 MiB, Datadog's for traces 3.2 MB.
_LARGEST_REQUEST = 3_000_000
_WORTH_A_REQUEST = 1_000_000


def file_storage(context: ConfigContext) -> Component:
    """Keep queues and offsets on disk. Every write is flushed, so that a power cut loses none.

    A damaged file is put aside where the version can do that; otherwise it stops the start until somebody removes
    it. The file shrinks only by compaction.
    """
    made: Component = {}
    if context.version.has(Feature.STORAGE_CREATE_DIRECTORY):
        made["create_directory"] = True
    if context.version.has(Feature.STORAGE_RECREATE):
        made["recreate"] = True
    return {
        "directory": context.layout.queue_directory,
        **made,
        "timeout": "10s",
        "fsync": True,
        "compaction": {"on_rebound": True, "directory": context.layout.queue_directory},
    }


def clickhouse(context: ConfigContext, signal: str) -> Component:
    """Insert over HTTP into tables that exist (`otel.clickhouse`), in batches of the profile's size."""
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
        # A part for each insert is what batches are sized for; gathered by the server, an insert is acknowledged
        # before it is on disk.
        component["async_insert"] = False
    batch = context.profile.batch
    return {
        **component,
        "timeout": "10s",
        **_delivery(context, signal, {"sizer": "items", "min_size": batch.items, "max_size": 2 * batch.items}),
    }


def signoz(context: ConfigContext, signal: str) -> Component:
    """Send OTLP over gRPC with SigNoz' key."""
    target = context.destinations.signoz
    if target is None:
        raise _missing(context, "SigNoz' endpoint")
    return {
        "endpoint": target.address,
        **({"tls": {"insecure": True}} if target.plain else {}),
        "headers": {"signoz-ingestion-key": reference(SIGNOZ_INGESTION_KEY, context.layout)},
        "timeout": "10s",
        **_delivery(context, signal, _BY_BYTES),
    }


def datadog_over_otlp(context: ConfigContext, signal: str) -> Component:
    """Send OTLP over HTTP to Datadog's intake, which derives paths (`/v1/traces`, …) from one endpoint."""
    return {
        "endpoint": f"https://otlp.{_datadog_site(context)}",
        "headers": {"dd-api-key": reference(DATADOG_API_KEY, context.layout)},
        "timeout": "10s",
        **_delivery(context, signal, _BY_BYTES),
    }


def datadog(context: ConfigContext, signal: str) -> Component:
    """Send with Datadog's own exporter. Its traces are never tried again, whatever is written here."""
    return {
        "api": {"site": _datadog_site(context), "key": reference(DATADOG_API_KEY, context.layout)},
        # A collector in a container is no host of theirs.
        "host_metadata": {"enabled": False},
        **(_datadog_traces(context) if signal == "traces" else {}),
        **_delivery(context, signal, _BY_BYTES),
    }


def datadog_connector(context: ConfigContext) -> Component:
    """Count spans for Datadog under the names that the exporter gives them."""
    return _datadog_traces(context)


def _datadog_traces(context: ConfigContext) -> Component:
    return {
        "traces": {
            # As in the seed: Datadog shows a span under its own name.
            "span_name_as_resource_name": True,
            # What does not fit is dropped, which without a buffer is most of a batch: it is taken apart by the
            # senders' requests, and may have as many of them as spans.
            "trace_buffer": _CONSUMERS * context.profile.batch.items,
        }
    }


_CONSUMERS = 4
"""How many requests of a queue are on their way at a time."""

_BY_BYTES: Component = {"sizer": "bytes", "min_size": _WORTH_A_REQUEST, "max_size": _LARGEST_REQUEST}


def _delivery(context: ConfigContext, signal: str, batch: Component) -> Component:
    """Give queue and retry: kept on disk, tried again until it succeeds, batched as it leaves the queue.

    Where the version cannot batch there, a processor does before the queue, and the queue counts requests: as many
    as hold the bytes, or as one batch after the other makes in the time, whichever is more.
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
            # Never give up: what cannot be delivered stays, and the queue's size raises the alarm.
            "max_elapsed_time": "0s",
        },
    }


def _datadog_site(context: ConfigContext) -> str:
    if context.destinations.datadog is None:
        raise _missing(context, "Datadog's site")
    return context.destinations.datadog.site


def _missing(context: ConfigContext, what: str) -> ConfigurationError:
    return ConfigurationError(f"profile {context.profile.name} needs {what}")
