"""Asking ClickHouse from this machine, at the address by which containers know it."""

from __future__ import annotations

import httpx
import pytest

import catalogue
import otel
from operations.telemetry import clickhouse

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("endpoint", "asked", "name"),
    [
        (f"http://{catalogue.MACHINE}:8123", "http://127.0.0.1:8123", f"{catalogue.MACHINE}:8123"),
        (f"https://{catalogue.MACHINE}", "https://127.0.0.1:8443", f"{catalogue.MACHINE}:8443"),
        ("https://clickhouse.example:8443", "https://clickhouse.example:8443", "clickhouse.example:8443"),
    ],
)
def test_the_name_that_containers_have_for_this_machine_leads_to_it(endpoint: str, asked: str, name: str) -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, text="1\n")

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        assert clickhouse.ask(client, otel.ClickHouse(endpoint=endpoint), "secret", "SELECT 1") == "1\n"
    (request,) = requests
    assert request.url == asked
    assert request.headers["Host"] == name
    assert request.extensions["sni_hostname"] == name.partition(":")[0]
