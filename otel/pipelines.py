"""Turns a profile's pipelines into the collector's: one exporter per signal, batching, and routing to Datadog."""

from __future__ import annotations

from dataclasses import replace

from otel.config_context import ConfigContext, Redaction
from otel.profiles import Pipeline, Profile
from otel.versions import Feature

NETWORK = ("clickhouse", "datadog", "otlp/signoz")
"""Exporters of a profile that have queues."""


def collector_pipelines(context: ConfigContext) -> tuple[Pipeline, ...]:
    """Return the pipelines as the collector runs them."""
    pipelines: list[Pipeline] = []
    for declared in context.profile.pipelines:
        pipeline = replace(declared, processors=_processors(declared, context))
        if "datadog" not in pipeline.exporters or context.version.has(Feature.DATADOG_OVER_OTLP):
            pipelines.append(_with_signal_exporters(pipeline, context))
        else:
            pipelines.extend(_split_off_datadog(pipeline, context))
    return tuple(pipelines)


def queues(profile: Profile) -> tuple[str, ...]:
    """Return the signal of each queue on disk: one for each network exporter of each pipeline."""
    return tuple(
        pipeline.signal for pipeline in profile.pipelines for exporter in pipeline.exporters if exporter in NETWORK
    )


def _processors(pipeline: Pipeline, context: ConfigContext) -> tuple[str, ...]:
    """Return the processors of a pipeline without those that would do nothing."""
    idle = set()
    if not (context.environment or context.device_id):
        idle.add("resource")
    if context.redaction is Redaction.NOTHING:
        idle.add("transform/redaction")
    return tuple(name for name in pipeline.processors if name not in idle)


def _with_signal_exporters(pipeline: Pipeline, context: ConfigContext) -> Pipeline:
    """Use the signal's own exporters, and a batch processor unless they batch from their queues.

    The signals in a batch processor have been acknowledged and are only in memory. So it is used for files, which
    lose unwritten signals anyway, and with versions that cannot batch from the queue.
    """
    network = any(exporter in NETWORK for exporter in pipeline.exporters)
    batch = () if network and context.version.has(Feature.QUEUE_BATCH) else ("batch",)
    return replace(
        pipeline,
        processors=pipeline.processors + batch,
        exporters=tuple(_signal_exporter(name, pipeline.signal, context) for name in pipeline.exporters),
    )


def _signal_exporter(exporter: str, signal: str, context: ConfigContext) -> str:
    match exporter:
        case "clickhouse":
            return f"clickhouse/{signal}"
        case "otlp/signoz":
            return f"otlp/signoz-{signal}"
        case "datadog" if context.version.has(Feature.DATADOG_OVER_OTLP):
            return f"otlp_http/datadog-{signal}"
        case "datadog":
            return f"datadog/{signal}"
        case _:
            return exporter


def _split_off_datadog(pipeline: Pipeline, context: ConfigContext) -> tuple[Pipeline, Pipeline]:
    """Return one pipeline for the other exporters and one for Datadog's own exporter.

    Datadog needs smaller batches, and statistics computed from all spans. These statistics are metrics that only
    Datadog understands, so they are sent to Datadog alone.
    """
    others = tuple(name for name in pipeline.exporters if name != "datadog")
    datadog = Pipeline(
        signal=f"{pipeline.signal}/datadog",
        receivers=pipeline.receivers,
        processors=(*pipeline.processors, "batch/datadog"),
        exporters=(f"datadog/{pipeline.signal}",),
    )
    rest = _with_signal_exporters(replace(pipeline, exporters=others), context)
    if pipeline.signal == "traces":
        rest = replace(rest, exporters=(*rest.exporters, "datadog/connector"))
        datadog = replace(datadog, receivers=("datadog/connector",), processors=("batch/datadog",))
    elif pipeline.signal == "metrics":
        datadog = replace(datadog, receivers=(*datadog.receivers, "datadog/connector"))
    return rest, datadog
