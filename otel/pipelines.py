"""From a profile's pipelines to the collector's: exporters of each signal, batching, and the ways to Datadog."""

from __future__ import annotations

from dataclasses import replace

from otel.config_context import ConfigContext, Redaction
from otel.profiles import Pipeline, Profile
from otel.versions import Feature

NETWORK = ("clickhouse", "datadog", "otlp/signoz")
"""Exporters of a profile that have queues."""


def routes(context: ConfigContext) -> tuple[Pipeline, ...]:
    """Give the pipelines as the collector runs them."""
    made: list[Pipeline] = []
    for pipeline in context.profile.pipelines:
        asked = replace(pipeline, processors=_processors(pipeline, context))
        if "datadog" not in pipeline.exporters or context.version.has(Feature.DATADOG_OVER_OTLP):
            made.append(_exported(asked, context))
        else:
            made.extend(_to_datadogs_own_exporter(asked, context))
    return tuple(made)


def queues(profile: Profile) -> tuple[str, ...]:
    """Give the signal of each queue on disk: one for each network exporter of each pipeline."""
    return tuple(
        pipeline.signal for pipeline in profile.pipelines for exporter in pipeline.exporters if exporter in NETWORK
    )


def _processors(pipeline: Pipeline, context: ConfigContext) -> tuple[str, ...]:
    """Leave out what would do nothing."""
    idle = set()
    if not (context.environment or context.device_id):
        idle.add("resource")
    if context.redaction is Redaction.NOTHING:
        idle.add("transform/redaction")
    return tuple(name for name in pipeline.processors if name not in idle)


def _exported(pipeline: Pipeline, context: ConfigContext) -> Pipeline:
    """Name the signal's own exporters, and batch before them unless they batch from their queues.

    A batch in a processor has been acknowledged and is only in memory. So it is used for files, which lose what
    they have not written anyway, and where the version has nothing better.
    """
    network = any(exporter in NETWORK for exporter in pipeline.exporters)
    batched = () if network and context.version.has(Feature.QUEUE_BATCH) else ("batch",)
    return replace(
        pipeline,
        processors=pipeline.processors + batched,
        exporters=tuple(_of_signal(name, pipeline.signal, context) for name in pipeline.exporters),
    )


def _of_signal(exporter: str, signal: str, context: ConfigContext) -> str:
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


def _to_datadogs_own_exporter(pipeline: Pipeline, context: ConfigContext) -> tuple[Pipeline, Pipeline]:
    """Part the way to Datadog from the others: it wants smaller batches, and statistics made from all spans.

    The statistics are metrics that only Datadog understands, so they go nowhere else.
    """
    others = tuple(name for name in pipeline.exporters if name != "datadog")
    own = Pipeline(
        signal=f"{pipeline.signal}/datadog",
        receivers=pipeline.receivers,
        processors=(*pipeline.processors, "batch/datadog"),
        exporters=(f"datadog/{pipeline.signal}",),
    )
    rest = _exported(replace(pipeline, exporters=others), context)
    if pipeline.signal == "traces":
        rest = replace(rest, exporters=(*rest.exporters, "datadog/connector"))
        own = replace(own, receivers=("datadog/connector",), processors=("batch/datadog",))
    elif pipeline.signal == "metrics":
        own = replace(own, receivers=(*own.receivers, "datadog/connector"))
    return rest, own
