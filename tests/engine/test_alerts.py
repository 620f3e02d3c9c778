"""The right alerts of `otel/alerts.yaml`, and no others, fire on metrics of a real collector."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import tenacity
import yaml

import otel
from otel.clickhouse import statements
from otel.profiles import LOW_LATENCY
from testbed import collector, grafana, small_disk
from testbed.clickhouse.server import ClickHouse, Fault
from testbed.otlp.generator import Generator
from testbed.otlp.items import Signal
from testbed.otlp.letta_telemetry import Telemetry
from testbed.polling import eventually
from testbed.prometheus import promtool
from testbed.prometheus.promtool import Timeline, samples

pytestmark = pytest.mark.engine

RULES = Path(otel.__file__).with_name("alerts.yaml")
PASSWORD = "pa$$word"
QUICK = replace(otel.PROFILES["clickhouse"], batch=LOW_LATENCY)
# Room for about 130 of the spans that are sent here.
SMALL = otel.QueueBudget(spans_per_second=10, span_bytes=1000, outage_seconds=10)
PIPELINES = {Signal.TRACES: "spans", Signal.METRICS: "metric_points", Signal.LOGS: "log_records"}


class Watched:
    """A collector with a profile's configuration, to send signals to and to scrape."""

    def __init__(self, running: collector.Collector, generator: Generator, layout: otel.ListenLayout) -> None:
        self.running, self._generator = running, generator
        self.queues = Path(layout.queue_directory)
        self.otlp = f"http://127.0.0.1:{layout.http_port}"
        self._metrics = f"http://127.0.0.1:{layout.metrics_port}/metrics"

    def send(
        self, signal: Signal = Signal.TRACES, *, count: int = 50, padding: int = 600, patience: float = 30.0
    ) -> None:
        self._generator.start(
            signal, count=count, rate=1e9, batch=10, padding=padding, patience=patience, seconds=60
        ).finish()

    def scrape(self) -> str:
        return httpx.get(self._metrics, timeout=10.0).raise_for_status().text

    def scrape_when(self, reached: Callable[[dict[str, float]], bool]) -> str:
        """Scrape until the metrics satisfy `reached`, and return the last scrape."""
        for attempt in eventually(30, every=0.1):
            with attempt:
                text = self.scrape()
                assert reached(samples(text)), text
        return text


def total(metrics: dict[str, float], name: str) -> float:
    return sum(value for series, value in metrics.items() if series.partition("{")[0] == name)


@contextmanager
def watched(
    folder: Path,
    profile: otel.Profile,
    destinations: otel.Destinations,
    *,
    disk: int | None = None,
    **composed: Any,
) -> Iterator[Watched]:
    with collector.layout(folder) as layout, ExitStack() as held:
        if disk is not None:
            held.enter_context(small_disk.small_disk(Path(layout.queue_directory), disk))
        for name in otel.secret_names(profile):
            (folder / "secrets" / name).write_text(otel.secret_file(PASSWORD))
        configuration = otel.compose(profile, layout=layout, destinations=destinations, **composed)
        running = collector.Collector(
            collector.program(),
            yaml.safe_load(otel.render(configuration)),
            folder=folder,
            health=f"http://127.0.0.1:{layout.health_port}",
        )
        held.enter_context(running)
        generator = held.enter_context(Generator(f"127.0.0.1:{layout.grpc_port}", run="alerts"))
        yield Watched(running, generator, layout)
        # Not stopped in order: what is in its queue does not matter any more.
        running.kill()


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouse]:
    with ClickHouse(tmp_path / "clickhouse", password=PASSWORD) as server:
        for statement in statements(otel.ClickHouse(endpoint=server.url()), retention_days=30):
            server.ask(statement)
        yield server


def to(server: ClickHouse) -> otel.Destinations:
    return otel.Destinations(clickhouse=otel.ClickHouse(endpoint=server.url()))


def all_sent(metrics: dict[str, float]) -> bool:
    return all(
        total(metrics, f"otelcol_exporter_sent_{kind}") == total(metrics, f"otelcol_receiver_accepted_{kind}") > 0
        for kind in PIPELINES.values()
    )


def test_prometheus_accepts_the_rules() -> None:
    done = subprocess.run(
        [promtool.program(), "check", "rules", "--lint=all", RULES], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_backend_that_does_not_answer_raises_one_alert_after_another(
    tmp_path: Path, clickhouse: ClickHouse
) -> None:
    timeline = Timeline()
    with watched(tmp_path, QUICK, to(clickhouse), queue_budget=SMALL) as one:
        for signal in Signal:
            one.send(signal)
        timeline.show(one.scrape_when(all_sent), minutes=20)
        timeline.expect(set())

        with clickhouse.failing(Fault.UNAVAILABLE):
            one.send(count=80)
            timeline.show(one.scrape(), minutes=4)
            timeline.expect({"LettaCollectorQueueFilling"})
            one.send(count=40)
            timeline.show(one.scrape(), minutes=3)
            nearly_full = {
                "LettaCollectorDeliversNothing",
                "LettaCollectorQueueFilling",
                "LettaCollectorQueueNearlyFull",
            }
            timeline.expect(nearly_full)
            one.send(count=30, patience=1)
            timeline.show(one.scrape(), minutes=3)
            timeline.expect(nearly_full | {"LettaCollectorCannotQueue", "LettaCollectorRefusesData"})
            for dashboard in grafana.dashboards():
                for query in grafana.queries(dashboard):
                    _expect_what_the_dashboard_shows(timeline, query)

    timeline.check(RULES, folder=tmp_path)


def _expect_what_the_dashboard_shows(timeline: Timeline, query: grafana.Query) -> None:
    """Expect each panel of the collector's dashboard to show a value; nothing was dropped in this test."""
    if query.plugin == grafana.PROMETHEUS and "label_values" not in query.text and "send_failed" not in query.text:
        chosen = {"device_id": ".*", "environment": ".*"}
        timeline.expect_values(grafana.promql(query.text, chosen=chosen, rate_interval="4m"))


def test_a_pipeline_that_receives_and_does_not_deliver_is_noticed(tmp_path: Path, clickhouse: ClickHouse) -> None:
    timeline = Timeline()
    with watched(tmp_path, QUICK, to(clickhouse)) as one:
        for signal in Signal:
            one.send(signal)
        timeline.show(one.scrape_when(all_sent), minutes=15)
        with clickhouse.failing(Fault.UNAVAILABLE):
            for _ in range(5):
                one.send()
                timeline.show(one.scrape(), minutes=3)
        timeline.expect({"LettaCollectorDeliversNothing"})
        timeline.show(one.scrape_when(all_sent), minutes=2)
        timeline.expect(set())
    timeline.check(RULES, folder=tmp_path)


def test_a_pipeline_that_never_delivered_is_noticed(tmp_path: Path, clickhouse: ClickHouse) -> None:
    timeline = Timeline()
    with clickhouse.failing(Fault.UNAVAILABLE), watched(tmp_path, QUICK, to(clickhouse)) as one:
        timeline.show(one.scrape(), minutes=5)
        for _ in range(5):
            one.send()
            timeline.show(one.scrape(), minutes=3)
        timeline.expect({"LettaCollectorDeliversNothing"})
    timeline.check(RULES, folder=tmp_path)


def test_filtered_health_checks_raise_no_alert(tmp_path: Path, clickhouse: ClickHouse) -> None:
    timeline = Timeline()
    with watched(tmp_path, QUICK, to(clickhouse)) as one:
        for _ in range(6):
            probes = Telemetry(device="a", environment="b", start=datetime.now(UTC))
            for number in range(7):
                probes.request("GET /v1/health/", at=number, ms=1, status=200)
            probes.send(one.otlp)
            timeline.show(one.scrape(), minutes=3)
    timeline.expect(set())
    timeline.expect_values("otelcol_receiver_accepted_spans == 42")
    timeline.check(RULES, folder=tmp_path)


def test_a_collector_that_is_down_is_noticed_until_it_is_back(tmp_path: Path, clickhouse: ClickHouse) -> None:
    timeline = Timeline()
    with watched(tmp_path, QUICK, to(clickhouse)) as one:
        for signal in Signal:
            one.send(signal)
        timeline.show(one.scrape_when(all_sent), minutes=5)
        one.running.kill()
        with pytest.raises(httpx.TransportError):
            one.scrape()
        timeline.show(None, minutes=4)
        timeline.expect({"LettaCollectorDown"})
        one.running.start()
        timeline.show(one.scrape(), minutes=2)
        timeline.expect(set())
    timeline.check(RULES, folder=tmp_path)


def test_signals_that_a_backend_rejects_permanently_are_noticed(tmp_path: Path) -> None:
    timeline = Timeline()
    with refusing() as address:
        destinations = otel.Destinations(signoz=otel.SigNoz(endpoint=address))
        with watched(tmp_path, replace(otel.PROFILES["signoz"], batch=LOW_LATENCY), destinations) as one:
            timeline.show(one.scrape(), minutes=6)
            timeline.expect(set())
            one.send()
            lost = one.scrape_when(lambda metrics: total(metrics, "otelcol_exporter_send_failed_spans") == 50)
            timeline.show(lost, minutes=2)
            timeline.expect({"LettaCollectorDropsData"})
    timeline.check(RULES, folder=tmp_path)


@contextmanager
def refusing() -> Iterator[str]:
    """Yield the address of a server that rejects every key, as SigNoz does."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> Any:  # noqa: ARG002
            return grpc.unary_unary_rpc_method_handler(
                lambda _, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "wrong key")
            )

    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def test_a_full_disk_is_noticed_until_there_is_room(tmp_path: Path, clickhouse: ClickHouse) -> None:
    timeline = Timeline()
    with (
        clickhouse.failing(Fault.UNAVAILABLE),
        watched(tmp_path, QUICK, to(clickhouse), disk=128 << 20) as one,
    ):
        timeline.show(one.scrape(), minutes=2)
        timeline.expect(set())
        small_disk.fill(one.queues)
        one.send(count=100, patience=1)
        timeline.show(one.scrape(), minutes=3)
        timeline.expect({"LettaCollectorDiskFull", "LettaCollectorCannotQueue", "LettaCollectorRefusesData"})
        small_disk.free(one.queues)
        timeline.show(one.scrape_when(lambda metrics: total(metrics, "otelcol_queue_disk_full") == 0), minutes=6)
        timeline.expect(set())
    timeline.check(RULES, folder=tmp_path)


def test_too_little_memory_is_noticed(tmp_path: Path, clickhouse: ClickHouse) -> None:
    rules = tmp_path / "alerts.yaml"
    rules.write_text(RULES.read_text().replace("vector(256 *", "vector(96 *"))
    timeline = Timeline()
    with clickhouse.failing(Fault.UNAVAILABLE), watched(tmp_path, QUICK, to(clickhouse), memory_mib=96) as one:
        timeline.show(one.scrape(), minutes=6)
        timeline.expect(set())
        # Requests that wait for a retry are in memory, a megabyte per span; Go decides when that is too much.
        for attempt in tenacity.Retrying(stop=tenacity.stop_after_attempt(10), reraise=True):
            with attempt:
                one.send(count=70, padding=1_000_000, patience=1)
                refused = one.scrape()
                assert total(samples(refused), "otelcol_processor_refused_spans") > 0, refused
        timeline.show(refused, minutes=2)
        timeline.expect({"LettaCollectorOutOfMemory", "LettaCollectorRefusesData"})
        timeline.show(refused, minutes=6)
        timeline.expect({"LettaCollectorMemoryHigh"})
    timeline.check(rules, folder=tmp_path)
