"""What spans cost a collector: processor time and memory, compared with upstream's original configuration.

Needs no stack: collectors run as processes, one after the other, each with its own backends.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import otel
from benchmarks.report import Table
from benchmarks.samples import Samples
from testbed.collector import program
from testbed.losses.rig import Change, Rig, in_memory
from testbed.losses.sender import PADDING, REQUESTS_RATE
from testbed.otlp.items import Signal
from toolchain.progress import Progress

RATE = 4_000
SECONDS = 25
SHARE = 0.8
"""Of one core; the table has the rate of spans that this share allows."""
OLD = "0.96.0"
UPSTREAM = Path(__file__).with_name("upstream_configuration")
_REDACTION = "transform/redaction"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A collector with a configuration."""

    name: str
    profile: str
    version: str = otel.DEFAULT_VERSION
    change: Change | None = None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Processor seconds for a million spans, and the peak resident memory (MB)."""

    seconds: float
    megabytes: float


def without_flushing(config: dict[str, Any]) -> None:
    """Let the kernel decide when the queue's writes reach the disk."""
    config["extensions"]["file_storage"]["fsync"] = False


def unredacted(config: dict[str, Any]) -> None:
    """Forward spans unchanged, as upstream's configuration does."""
    for pipeline in config["service"]["pipelines"].values():
        pipeline["processors"] = [name for name in pipeline["processors"] if name != _REDACTION]
    del config["processors"][_REDACTION]


def in_memory_and_unredacted(config: dict[str, Any]) -> None:
    """Do as much as upstream's configuration, and no more."""
    in_memory(config)
    unredacted(config)


def upstream(name: str) -> Change:
    """Return a change to upstream's file, which keeps our addresses, credentials and path of the exported file."""

    def change(config: dict[str, Any]) -> None:
        ours = {key: config[key] for key in ("extensions", "receivers", "exporters", "service")}
        config.clear()
        config.update(yaml.safe_load((UPSTREAM / f"otel-collector-config-{name}.yaml").read_text()))
        config["receivers"]["otlp"] = ours["receivers"]["otlp"]
        config.setdefault("extensions", {})["health_check"] = ours["extensions"]["health_check"]
        service = config["service"]
        service["extensions"] = ["health_check"]
        service["telemetry"]["metrics"] = ours["service"]["telemetry"]["metrics"]
        if name == "file":
            config["exporters"]["file"]["path"] = ours["exporters"]["file/traces"]["path"]
        else:
            known = ours["exporters"]["clickhouse/traces"]
            values = {key: known[key] for key in ("endpoint", "database", "username", "password")}
            config["exporters"]["clickhouse"].update(values)
            # From LETTA_ENVIRONMENT, without which it does not start.
            config["processors"]["resource"]["attributes"][0]["value"] = "benchmark"

    return change


CANDIDATES = (
    Candidate(name="upstream's, for files", profile="file", version=OLD, change=upstream("file")),
    Candidate(name="file", profile="file", version=OLD),
    Candidate(name="file", profile="file"),
    Candidate(name="upstream's, for ClickHouse", profile="clickhouse", version=OLD, change=upstream("clickhouse")),
    Candidate(name="clickhouse", profile="clickhouse", version=OLD),
    Candidate(name="clickhouse", profile="clickhouse"),
    Candidate(name="clickhouse, fsync: false", profile="clickhouse", change=without_flushing),
    Candidate(name="clickhouse, queue in memory", profile="clickhouse", change=in_memory),
    Candidate(name="clickhouse, no redaction", profile="clickhouse", change=unredacted),
    Candidate(
        name="clickhouse, queue in memory, no redaction", profile="clickhouse", change=in_memory_and_unredacted
    ),
    Candidate(name="clickhouse-prod", profile="clickhouse-prod", version=OLD),
    Candidate(name="clickhouse-prod", profile="clickhouse-prod"),
    Candidate(name="signoz", profile="signoz", version=OLD),
    Candidate(name="signoz", profile="signoz"),
)


def measure(progress: Progress, rounds: int) -> list[Table]:
    """Send the same spans to each candidate in turn, `rounds` times."""
    for version in otel.VERSIONS:
        program(version)
    costs: dict[Candidate, list[Cost]] = {candidate: [] for candidate in CANDIDATES}
    for number in range(1, rounds + 1):
        with progress.step(f"spans, round {number} of {rounds}"):
            for candidate, taken in costs.items():
                taken.append(cost(candidate))
                progress.say(
                    f"{candidate.name} {candidate.version}: {taken[-1].seconds:.1f} s for a million spans"
                )
    return [_table(costs, rounds)]


def cost(candidate: Candidate) -> Cost:
    """Send spans at a fixed rate, and return what the collector used until all of them were stored."""
    with (
        tempfile.TemporaryDirectory(prefix="letta-platform-telemetry-") as folder,
        Rig(
            otel.PROFILES[candidate.profile],
            folder=Path(folder),
            version=candidate.version,
            change=candidate.change,
        ) as rig,
    ):
        rig.start()
        used = _processor_seconds(rig.collector.process_id)
        rig.sender.send(Signal.TRACES, count=RATE * SECONDS, rate=RATE)
        rig.sender.finish(now=False)
        for backend in rig.backends:
            rig.wait_stored(backend)
        used = _processor_seconds(rig.collector.process_id) - used
        return Cost(seconds=used * 1e6 / (RATE * SECONDS), megabytes=_peak_memory(rig.collector.process_id) / 1e6)


def _processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_memory(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


def _table(costs: dict[Candidate, list[Cost]], rounds: int) -> Table:
    rows = []
    for candidate, taken in costs.items():
        seconds = Samples.of(cost.seconds for cost in taken)
        rows.append(
            (
                candidate.name,
                candidate.version,
                *seconds.shown(),
                f"{SHARE * 1e6 / seconds.median:,.0f}",
                f"{Samples.of(cost.megabytes for cost in taken).median:,.0f}",
            )
        )
    return Table(
        title="What spans cost a collector",
        columns=("configuration", "version", "s for 10^6 spans", "min-max", "spans/s at 80 %", "peak MB"),
        rows=tuple(rows),
        notes=(
            "Processor seconds of the collector for a million spans, computed from"
            f" {RATE * SECONDS:,} spans of about {PADDING + 400:,} bytes at {RATE:,} spans/s"
            f" in requests of {RATE // REQUESTS_RATE}, until all of them are stored;"
            f" {rounds} round{'s' if rounds > 1 else ''}.",
            f"Spans/s at {SHARE:.0%} of one core are computed from that cost; this rate was not sent.",
            "Upstream's original configuration runs unchanged except for addresses, credentials and the file's"
            " path, with version 0.96.0, without pprof and zpages, whose addresses cannot be shared.",
            "The collector's only memory limit here is GOMEMLIMIT, set as in a 512 MiB container.",
        ),
    )
