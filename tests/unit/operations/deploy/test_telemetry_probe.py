"""The probe span of `make up`, which shows that telemetry arrives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

import otel
from operations.console.errors import OperationError
from operations.deploy import telemetry_probe
from otel.clickhouse import statements
from testbed.certificates import Authority
from testbed.clickhouse.server import ClickHouse
from testbed.fake_engine import FakeEngine

pytestmark = pytest.mark.unit


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class _Target:
    stack = "dev"


def probed(monkeypatch: pytest.MonkeyPatch, *, accepts: Any = lambda: None, finds: Any = lambda: True) -> None:
    monkeypatch.setattr(telemetry_probe, "send", lambda *_: accepts())
    monkeypatch.setattr(
        telemetry_probe, "otlp_port", lambda *_: telemetry_probe.OtlpPort(endpoint="http://localhost:4318")
    )
    monkeypatch.setattr(
        telemetry_probe,
        "probe_targets",
        lambda *_: [telemetry_probe.ProbeTarget(where="table otel_traces", found=finds)],
    )
    telemetry_probe.probe(
        _Target(),  # type: ignore[arg-type]
        FakeEngine(),
        {"otlpHttpEndpoint": "http://localhost:4318"},
        clock=Clock(),
    )


def test_the_probe_span_is_waited_for_with_signs_of_life(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = iter(range(100))

    probed(monkeypatch, finds=lambda: next(waits) > 30)

    said = capsys.readouterr().out.splitlines()
    assert any("waiting for a probe span at table otel_traces" in line for line in said)
    assert "sent and has arrived" in said[-1]


def test_a_probe_span_that_never_arrives_fails_and_names_the_destination(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperationError) as raised:
        probed(monkeypatch, finds=lambda: False)

    assert "did not arrive" in str(raised.value)
    assert "table otel_traces" in str(raised.value)
    assert "make doctor STACK=dev" in str(raised.value)


def test_a_port_that_accepts_nothing_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise telemetry_probe.NotYetError("status 503")

    with pytest.raises(OperationError) as raised:
        probed(monkeypatch, accepts=refuse)

    assert "was not accepted" in str(raised.value)
    assert "status 503" in str(raised.value)


def test_the_probe_span_is_sent_with_the_token_and_never_redirected(httpserver: HTTPServer) -> None:
    port = telemetry_probe.OtlpPort(endpoint=httpserver.url_for("").rstrip("/"), token="the-token")
    httpserver.expect_ordered_request(
        "/v1/traces", method="POST", headers={"Authorization": "Bearer the-token"}
    ).respond_with_json({})
    httpserver.expect_ordered_request("/v1/traces").respond_with_data(
        status=307, headers={"Location": httpserver.url_for("/taken")}
    )

    telemetry_probe.send(port, "0" * 32)
    with pytest.raises(telemetry_probe.NotYetError, match="HTTP 307"):
        telemetry_probe.send(port, "0" * 32)

    assert [request.path for request, _ in httpserver.log] == ["/v1/traces", "/v1/traces"]


def test_a_span_is_found_in_clickhouse_with_any_password(tmp_path: Path) -> None:
    password = "pä$$ 'word' \\"
    with ClickHouse(tmp_path, password=password) as server:
        target = otel.ClickHouse(endpoint=server.url())
        with pytest.raises(telemetry_probe.NotYetError, match="UNKNOWN_DATABASE"):
            telemetry_probe.in_clickhouse(target, password, "1" * 32)
        for statement in statements(target, retention_days=30):
            server.ask(statement)
        assert not telemetry_probe.in_clickhouse(target, password, "1" * 32)
        server.ask(
            "INSERT INTO otel.otel_traces (Timestamp, TraceId) SELECT now(), {id:String}",
            parameters={"id": "1" * 32},
        )

        assert telemetry_probe.in_clickhouse(target, password, "1" * 32)
        with pytest.raises(telemetry_probe.NotYetError, match="refuses the user or the password"):
            telemetry_probe.in_clickhouse(target, "wrong", "1" * 32)


def test_clickhouse_is_trusted_by_the_ca_bundle_of_the_settings(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with ClickHouse(tmp_path, password="secret", certificate=authority.issue("127.0.0.1")) as server:
        target = otel.ClickHouse(endpoint=server.url())
        for statement in statements(target, retention_days=30):
            server.ask(statement)

        with pytest.raises(telemetry_probe.NotYetError, match="CERTIFICATE_VERIFY_FAILED"):
            telemetry_probe.in_clickhouse(target, "secret", "1" * 32)
        assert not telemetry_probe.in_clickhouse(
            target, "secret", "1" * 32, ca_bundle=authority.certificate.read_text()
        )


def test_clickhouses_password_is_not_redirected(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data(
        status=307, headers={"Location": httpserver.url_for("/taken")}
    )
    target = otel.ClickHouse(endpoint=httpserver.url_for("").rstrip("/"))

    with pytest.raises(telemetry_probe.NotYetError, match="not ClickHouse's HTTP interface"):
        telemetry_probe.in_clickhouse(target, "secret", "1" * 32)

    assert [request.path for request, _ in httpserver.log] == ["/"]
