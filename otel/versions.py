"""What differs between collector versions: one table, asked by the fragments."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Feature(StrEnum):
    """Something that a configuration can say only to collectors that know it."""

    METRICS_READERS = "service.telemetry.metrics.readers instead of .address"
    FILE_CREATE_DIRECTORY = "file exporter makes its directory"
    STORAGE_CREATE_DIRECTORY = "file_storage makes its directory"
    STORAGE_RECREATE = "file_storage puts a damaged file aside and starts with a new one"
    QUEUE_BATCH = "exporters batch from their queue, which is limited in bytes"
    QUIET_OPERATORS = "log operators with on_error: send_quiet"
    VERBATIM_SECRETS = "text from ${file:…} is taken as it is, not read as YAML"
    SYNCHRONOUS_LOGS = "log lines are noted as read when they are in the queue, with a feature gate"
    CLICKHOUSE_SCHEMA_SWITCH = "clickhouse exporter leaves the tables alone when told to"
    CLICKHOUSE_ASYNC_SWITCH = "clickhouse exporter asks the server to gather inserts unless told not to"
    DATADOG_OVER_OTLP = "no datadog exporter and connector in our build, so Datadog gets OTLP over HTTP"


# The first version that must have it in the new form. (`address` was deprecated in 0.111, ignored from
# 0.123, and stops the collector from starting since 0.128. `recreate` came with 0.131, but until 0.136 it put
# the file aside at every start.) The last line is about our build, not about upstream's: the modules of
# Datadog's components for that version cannot be had, those for 0.96.0 can.
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
"""Versions that configurations are composed for: those whose own `validate` has accepted every profile."""

VULNERABILITIES: dict[str, tuple[str, ...]] = {
    DEFAULT_VERSION: (),
    "0.96.0": (
        "GHSA-c74f-6mfw-mm4v: a small compressed request to the OTLP receiver can take all memory"
        " (fixed in 0.102.1)",
        "CVE-2024-42368: the time that bearertokenauth takes tells how much of a token is right"
        " (fixed in 0.107.0)",
    ),
}
"""Known vulnerabilities of each version in VERSIONS, for whoever lets a person choose one."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class CollectorVersion:
    """A collector release, comparable by age."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> CollectorVersion:
        """Read `0.149.0`; anything else raises ValueError."""
        parts = text.split(".")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
            raise ValueError(f"not a collector version: {text!r} (expected for instance {DEFAULT_VERSION})")
        major, minor, patch = map(int, parts)
        return cls(major=major, minor=minor, patch=patch)

    def has(self, feature: Feature) -> bool:
        """Whether this version understands `feature`."""
        return self >= CollectorVersion.parse(SINCE[feature])

    @property
    def arguments(self) -> tuple[str, ...]:
        """What a collector of this version is started with, beside its configuration.

        Without the gate, lines of log files are only in memory for a moment after they were noted as
        read: a collector that is killed then loses them.
        """
        gates = "--feature-gates=stanza.synchronousLogEmitter"
        return (gates,) if self.has(Feature.SYNCHRONOUS_LOGS) else ()

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"
