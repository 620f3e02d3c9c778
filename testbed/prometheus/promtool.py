"""Evaluates Prometheus rules with Prometheus' `promtool`, on metrics scraped from a real collector.

    timeline = Timeline()
    timeline.show(scraped, minutes=5)      # the text of /metrics; None while the collector is down
    timeline.expect({"LettaCollectorDown"})
    timeline.check(rules, folder=folder)

The minutes are simulated: the rules see each scrape for as many minutes as the test says.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from toolchain import go_modules, versions
from toolchain.cache import Entry, content_key
from toolchain.locations import cache_home
from toolchain.progress import Progress

SOURCE = Path(__file__).parent
TARGET = {"job": "letta-collector", "instance": "collector:8888"}
"""Labels that Prometheus adds to the series that it scrapes."""


def program() -> Path:
    """Return promtool, built from its locked modules: minutes once, then from the cache."""
    environ = os.environ
    files = [path for path in SOURCE.iterdir() if path.suffix in {".mod", ".sum"}]
    entry = Entry(cache_home(environ) / f"promtool-{content_key([], files, SOURCE)}")

    def fill(folder: Path) -> None:
        cache = cache_home(environ)
        go = go_modules.find_go(progress, versions.read(), cache, environ)
        with progress.step("building promtool for tests"):
            progress.run(
                [
                    *(go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"),
                    # Service discovery is most of its code, and not needed here.
                    *("-tags", "remove_all_sd", "-o", folder / "promtool"),
                    "github.com/prometheus/prometheus/cmd/promtool",
                ],
                log="build-promtool",
                environment={**go_modules.build_environment(go, environ, cache=cache), "CGO_ENABLED": "0"},
                directory=SOURCE,
            )

    progress = Progress()
    entry.make(fill, progress)
    return entry.folder / "promtool"


def samples(scraped: str) -> dict[str, float]:
    """Return the values in the text of /metrics by series, which are written as in the text."""
    lines = (line.rpartition(" ") for line in scraped.splitlines() if line and not line.startswith("#"))
    return {series: float(value) for series, _, value in lines}


class Timeline:
    """What Prometheus scrapes from one collector, minute by minute, and what is expected at which minute."""

    def __init__(self) -> None:
        self._minutes: list[dict[str, float]] = []
        self._expected: list[dict[str, Any]] = []

    def show(self, scraped: str | None, *, minutes: int) -> None:
        """Show this scrape for so many more minutes."""
        seen = {"up{}": 0.0} if scraped is None else {**samples(scraped), "up{}": 1.0}
        self._minutes += [seen] * minutes

    def expect(self, firing: Collection[str]) -> None:
        """Expect exactly these alerts at the last minute so far."""
        self._expect(
            'group by (alertname) (ALERTS{alertstate="firing"})',
            {f'{{alertname="{name}"}}': 1 for name in firing},
        )

    def expect_values(self, expression: str) -> None:
        """Expect at least one value of the expression at the last minute so far."""
        self._expect(f"count({expression}) > bool 0", {"{}": 1})

    def _expect(self, expression: str, values: Mapping[str, float]) -> None:
        self._expected.append({
            "expr": expression,
            "eval_time": f"{len(self._minutes) - 1}m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in values.items()],
        })  # fmt: skip

    def check(self, rules: Path, *, folder: Path) -> None:
        """Raise AssertionError with promtool's output when an expectation is not met."""
        names = sorted({series for minute in self._minutes for series in minute})
        test = {
            "interval": "1m",
            "input_series": [{"series": _targeted(name), "values": self._values(name)} for name in names],
            "promql_expr_test": self._expected,
        }
        file = folder / "rules-test.json"
        file.write_text(
            json.dumps({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]}, indent=1)
        )
        done = subprocess.run(
            [program(), "test", "rules", file], capture_output=True, text=True, check=False, cwd=folder
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _values(self, name: str) -> str:
        """Return the values of a series; when a scrape does not have it any more, it is stale."""
        values, before = [], False
        for minute in self._minutes:
            there = name in minute
            values.append(f"{minute[name]:.17g}" if there else "stale" if before else "_")
            before = there
        return " ".join(values)


def _targeted(series: str) -> str:
    name, _, labels = series.partition("{")
    own = labels.removesuffix("}")
    added = ",".join(f'{key}="{value}"' for key, value in TARGET.items())
    return f"{name}{{{own}{',' if own else ''}{added}}}"
