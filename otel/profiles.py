"""The named profiles as data: which signals go where, and how they are gathered into batches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """How long signals are gathered (seconds), and how many at most before a batch leaves early."""

    seconds: int
    items: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """One pipeline: a signal (`traces`, `metrics` or `logs`; `traces/name` where there are several).

    Components are named as in a collector configuration; `otel.fragments` says what each name means.
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


FILE_DEV = Profile(
    name="file-dev",
    batch=Batch(seconds=1, items=1024),
    pipelines=(
        Pipeline(
            signal="traces",
            receivers=("otlp",),
            processors=("memory_limiter", "filter/probes", "batch"),
            exporters=("file/traces",),
        ),
        # The server sends metrics wherever it sends traces: refused, they are an error in its log
        # every minute.
        Pipeline(
            signal="metrics",
            receivers=("otlp",),
            processors=("memory_limiter", "batch"),
            exporters=("file/metrics",),
        ),
    ),
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (FILE_DEV,)}
