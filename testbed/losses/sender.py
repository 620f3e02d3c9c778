"""Sends numbered signals and log lines to a rig's collector, and records what was acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from testbed.losses.accounts import Sent
from testbed.losses.log_lines import LogLines
from testbed.otlp.generator import LONGEST_FLOW, Flow, Generator
from testbed.otlp.items import Signal

RATES: Mapping[Signal, int] = {Signal.TRACES: 1000, Signal.METRICS: 250, Signal.LOGS: 250}
"""Signals per second, as `otel.QueueBudget` expects them: a quarter as many metrics and logs as spans."""
LINES_RATE = 100
REQUESTS_RATE = 10
"""Requests per second of each flow."""
PADDING = 600
"""Characters that make a span about a thousand bytes long."""


class Sender:
    """The flows of one run, and its log lines."""

    def __init__(self, generator: Generator, *, run: str) -> None:
        self._generator, self._run = generator, run
        self._flows: dict[Signal, Flow] = {}
        self._lines: LogLines | None = None
        self.sent: tuple[Sent, ...] = ()
        """What was sent; empty until `finish`."""

    def start(self, signals: Iterable[Signal]) -> None:
        """Start a flow of each signal that lasts until `finish`."""
        for signal in signals:
            self.send(signal, count=RATES[signal] * int(LONGEST_FLOW), rate=RATES[signal])

    def send(self, signal: Signal, *, count: int, rate: int) -> None:
        """Start a flow of `count` signals at `rate` per second."""
        self._flows[signal] = self._generator.start(
            signal, count=count, rate=rate, seconds=LONGEST_FLOW, batch=rate // REQUESTS_RATE, padding=PADDING
        )

    def write_lines(self, file: Path) -> None:
        """Start to append log lines to a file."""
        self._lines = LogLines(file, run=f"{self._run} lines", rate=LINES_RATE)

    def wait(self, seconds: float) -> None:
        """Wait until as many more of each signal are acknowledged as are sent in so many seconds."""
        wanted = {
            signal: len(flow.report().acknowledged) + int(RATES[signal] * seconds)
            for signal, flow in self._flows.items()
        }
        for signal, acknowledged in wanted.items():
            self._flows[signal].wait_for(acknowledged, seconds=2 * seconds + 60)

    def refused(self) -> int:
        """Return how many answers so far were no acknowledgement."""
        return sum(_refused(flow.report().answers) for flow in self._flows.values())

    def finish(self, *, now: bool) -> None:
        """Stop sending now, or after the rest of each flow's count."""
        for flow in self._flows.values() if now else ():
            flow.stop()
        if not self.sent:
            lines = [self._lines.finish()] if self._lines else []
            self.sent = (*(self._of(signal, flow) for signal, flow in self._flows.items()), *lines)

    def _of(self, signal: Signal, flow: Flow) -> Sent:
        report = flow.finish()
        return Sent(
            what=str(signal),
            run=self._run,
            signal=signal,
            numbers=report.acknowledged | report.given_up | report.rejected,
            acknowledged=report.acknowledged,
            refusals=_refused(report.answers),
        )


def _refused(answers: Mapping[str, int]) -> int:
    return sum(times for answer, times in answers.items() if answer != "OK")
