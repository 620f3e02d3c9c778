"""What differs between collector versions: one table, asked by the fragments."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Feature(StrEnum):
    """Something that a configuration can say only to collectors that know it."""

    METRICS_READERS = "service.telemetry.metrics.readers instead of .address"
    FILE_CREATE_DIRECTORY = "file exporter makes its directory"


# The first version that must have it in the new form. (`address` was deprecated in 0.111, ignored from
# 0.123, and stops the collector from starting since 0.128.)
SINCE: dict[Feature, str] = {
    Feature.METRICS_READERS: "0.123.0",
    Feature.FILE_CREATE_DIRECTORY: "0.141.0",
}

DEFAULT_VERSION = "0.149.0"
VERSIONS: tuple[str, ...] = (DEFAULT_VERSION,)
"""Versions that a stack can ask for: those whose own `validate` has accepted every profile."""


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

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"
