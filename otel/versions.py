"""What differs between collector versions: one table, used wherever a configuration depends on the version."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Feature(StrEnum):
    """An option that only some collector versions have."""

    METRICS_READERS = "service.telemetry.metrics.readers instead of .address"
    FILE_CREATE_DIRECTORY = "file exporter creates its directory"
    STORAGE_CREATE_DIRECTORY = "file_storage creates its directory"
    STORAGE_RECREATE = "file_storage moves a damaged file aside and starts with a new one"
    QUEUE_BATCH = "exporters batch from their queue, whose limit is in bytes"
    QUIET_OPERATORS = "log operators with on_error: send_quiet"
    VERBATIM_SECRETS = "text from ${file:…} is used verbatim, not parsed as YAML"
    SYNCHRONOUS_LOGS = "log lines count as read once they are in the queue, with a feature gate"
    CLICKHOUSE_SCHEMA_SWITCH = "clickhouse exporter has an option not to create tables"
    CLICKHOUSE_ASYNC_SWITCH = "clickhouse exporter uses asynchronous inserts unless disabled"
    DATADOG_OVER_OTLP = "no datadog exporter and connector in our build: Datadog gets OTLP over HTTP"


# The first version whose configuration uses it. (`address` was deprecated in 0.111 and ignored from 0.123, and
# keeps the collector from starting since 0.128. `recreate` was added in 0.131, but until 0.136 it moved the file
# aside at every start.) The last line is about our build, not upstream's: the Go modules of Datadog's components
# are available for 0.96.0, but not for that version.
SINCE: dict[Feature, str] = {
    Feature.METRICS_READERS: "0.123.0",
    Feature.FILE_CREATE_DIRECTORY: "0.141.0",
    Feature.STORAGE_CREATE_DIRECTORY: "0.110.0",
    Feature.STORAGE_RECREATE: "0.136.0",
    Feature.QUEUE_BATCH: "0.130.0",
    Feature.QUIET_OPERATORS: "0.99.0",
    Feature.VERBATIM_SECRETS: "0.106.0",
    Feature.SYNCHRONOUS_LOGS: "0.149.0",
    Feature.CLICKHOUSE_SCHEMA_SWITCH: "0.102.0",
    Feature.CLICKHOUSE_ASYNC_SWITCH: "0.104.0",
    Feature.DATADOG_OVER_OTLP: "0.149.0",
}

DEFAULT_VERSION = "0.149.0"
VERSIONS: tuple[str, ...] = (DEFAULT_VERSION, "0.96.0")
"""The supported versions: their own `validate` accepts the configuration of every profile."""

VULNERABILITIES: dict[str, tuple[str, ...]] = {
    DEFAULT_VERSION: (),
    "0.96.0": (
        "GHSA-c74f-6mfw-mm4v: a small compressed request to the OTLP receiver can exhaust the memory"
        " (fixed in 0.102.1)",
        "CVE-2024-42368: the response time of bearertokenauth reveals how much of a guessed token is correct"
        " (fixed in 0.107.0)",
    ),
}
"""Known vulnerabilities of each version in VERSIONS, shown to users who choose it."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class CollectorVersion:
    """A collector release; a later one is greater."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> CollectorVersion:
        """Parse text such as `0.149.0`; anything else raises ValueError."""
        parts = text.split(".")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
            raise ValueError(f"not a collector version: {text!r} (expected the form {DEFAULT_VERSION})")
        major, minor, patch = map(int, parts)
        return cls(major=major, minor=minor, patch=patch)

    def has(self, feature: Feature) -> bool:
        """Whether this version has `feature`."""
        return self >= CollectorVersion.parse(SINCE[feature])

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command-line arguments of this version, in addition to its configuration.

        Without the feature gate, log lines are only in memory for a moment after they count as read: a collector
        that is killed then loses them.
        """
        gates = "--feature-gates=stanza.synchronousLogEmitter"
        return (gates,) if self.has(Feature.SYNCHRONOUS_LOGS) else ()

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"
