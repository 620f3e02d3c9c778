"""What a profile cannot give with a version of the collector, in sentences for the person who chose it.

Said from the components' source and documentation; what was seen to happen is in docs/telemetry.md.
"""

from __future__ import annotations

from otel.profiles import Profile
from otel.versions import DEFAULT_VERSION, CollectorVersion, Feature


def limitations(profile: Profile, *, version: str = DEFAULT_VERSION) -> tuple[str, ...]:
    """Give what is not promised, most important first. No sentence names a value of a setting."""
    release = CollectorVersion.parse(version)
    exporters = {exporter for pipeline in profile.pipelines for exporter in pipeline.exporters}
    network = exporters & {"clickhouse", "datadog", "otlp/signoz"}
    said: list[str] = []
    if "datadog" in exporters:
        said += _OVER_OTLP if release.has(Feature.DATADOG_OVER_OTLP) else _NATIVE
        if not release.has(Feature.DATADOG_OVER_OTLP):
            said.append(
                f"Collector {release} with Datadog's own components does not always end by itself, neither after a"
                " failed start nor when it is told to while Datadog does not answer: it may have to be killed."
            )
    if "otlp/signoz" in exporters or ("datadog" in exporters and release.has(Feature.DATADOG_OVER_OTLP)):
        said.append(
            "What SigNoz or Datadog refuses over OTLP for good, as with a wrong or expired key, is dropped at"
            " once: the queue keeps only what may succeed later."
        )
    if network and not release.has(Feature.QUEUE_BATCH):
        said.append(
            f"Collector {release} acknowledges signals before they are on disk: when it is killed, up to"
            f" {profile.batch.seconds} seconds of them are lost."
        )
    if network:
        damaged = "whose first pages are damaged" if release.has(Feature.STORAGE_RECREATE) else "that is damaged"
        said.append(f"A queue file {damaged} keeps collector {release} from starting until somebody removes it.")
    if "clickhouse" in exporters and not release.has(Feature.CLICKHOUSE_SCHEMA_SWITCH):
        said.append(
            f"Collector {release} wants to create ClickHouse's tables itself, so it does not start while"
            " ClickHouse is down, and its user needs the right to create them."
        )
    if any(name.startswith("file/") for name in exporters):
        said.append(
            "Files have no queue: what was not yet written when the collector is killed is lost, and so is what"
            " rotation removes."
        )
    if len(network) > 1:
        said.append(
            "When the queue of one destination is full, senders are told to try again, and the other destination"
            " stores what they repeat a second time."
        )
    return tuple(said)


_NATIVE = (
    "Datadog's own exporter never tries to send a batch of traces again, and what it took from its queue is only"
    " in memory: traces on their way to Datadog are lost when Datadog does not answer or the collector is killed.",
)
_OVER_OTLP = (
    "Datadog gets spans over OTLP, from which this collector makes no APM statistics (hits, errors and latency of"
    " services): its build has neither Datadog's connector nor span_metrics.",
    "Datadog's OTLP intake takes metrics with delta temporality only, which is what the Letta server sends; it is"
    " not offered on all of Datadog's sites, and for traces Datadog may have to enable it.",
)
