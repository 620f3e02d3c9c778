"""What a profile does not guarantee with a version of the collector, in sentences for the user who chose them.

Taken from the components' source and documentation; measured losses are in docs/losses.md.
"""

from __future__ import annotations

from otel.profiles import Profile
from otel.versions import DEFAULT_VERSION, CollectorVersion, Feature


def limitations(profile: Profile, *, version: str = DEFAULT_VERSION) -> tuple[str, ...]:
    """Return the limitations, most important first. No sentence contains the value of a setting."""
    release = CollectorVersion.parse(version)
    exporters = {exporter for pipeline in profile.pipelines for exporter in pipeline.exporters}
    network = exporters & {"clickhouse", "datadog", "otlp/signoz"}
    found: list[str] = []
    if "datadog" in exporters:
        found += _OVER_OTLP if release.has(Feature.DATADOG_OVER_OTLP) else _NATIVE
        if not release.has(Feature.DATADOG_OVER_OTLP):
            found.append(
                f"Collector {release} with Datadog's own components does not always exit, neither after a failed"
                " start nor when it is stopped while Datadog does not answer: it may have to be killed."
            )
    if "otlp/signoz" in exporters or ("datadog" in exporters and release.has(Feature.DATADOG_OVER_OTLP)):
        found.append(
            "Signals that SigNoz or Datadog rejects permanently over OTLP, for instance because of a wrong or"
            " expired key, are dropped at once: the queue keeps only what can succeed later."
        )
    if network and not release.has(Feature.QUEUE_BATCH):
        found.append(
            f"Collector {release} acknowledges signals before they are on disk: when it is killed, up to"
            f" {profile.batch.seconds} seconds of signals are lost."
        )
    if network:
        damaged = "whose first pages are damaged" if release.has(Feature.STORAGE_RECREATE) else "that is damaged"
        found.append(f"A queue file {damaged} keeps collector {release} from starting until you remove it.")
    if "clickhouse" in exporters and not release.has(Feature.CLICKHOUSE_SCHEMA_SWITCH):
        found.append(
            f"Collector {release} always tries to create ClickHouse's tables itself, so it does not start while"
            " ClickHouse is down, and its user needs permission to create tables."
        )
    if any(name.startswith("file/") for name in exporters):
        found.append(
            "Files have no queue: signals that are not yet written when the collector is killed are lost, and so"
            " are those in files that rotation removes."
        )
    if len(network) > 1:
        found.append(
            "When the queue of one destination is full, senders are asked to retry, and the other destination"
            " stores the repeated signals twice."
        )
    return tuple(found)


_NATIVE = (
    "Datadog's own exporter never retries a batch of traces, and a batch that it has taken from its queue is only"
    " in memory: traces being sent are lost when Datadog does not answer or the collector is killed.",
)
_OVER_OTLP = (
    "Datadog gets spans over OTLP, without APM statistics (hits, errors and latency of services): this build of"
    " the collector has neither Datadog's connector nor span_metrics.",
    "Datadog's OTLP intake accepts metrics with delta temporality only, which is what the Letta server sends. Some"
    " of Datadog's sites do not offer it, and for traces Datadog may have to enable it.",
)
