"""The accounts of losses, and the proxy to stand-ins, tested without a collector."""

from __future__ import annotations

import json
import ssl
from collections import Counter
from pathlib import Path

import httpx
import pytest

from testbed.certificates import Authority
from testbed.connect_proxy import ConnectProxy
from testbed.datadog.server import Datadog
from testbed.losses.accounts import Account, Sent
from testbed.losses.backends import InFiles
from testbed.otlp.items import RUN, SEQUENCE, Signal

pytestmark = pytest.mark.unit


def test_only_acknowledged_signals_that_are_not_stored_are_lost() -> None:
    sent = Sent(
        what="traces",
        run="a",
        signal=Signal.TRACES,
        numbers=frozenset(range(6)),
        acknowledged=frozenset({0, 1, 2, 3}),
        refusals=7,
    )

    account = Account.of("ClickHouse", sent, Counter({0: 1, 1: 3, 4: 1}))

    assert (account.sent, account.acknowledged, account.stored) == (6, 4, 3)
    assert (account.lost, account.twice, account.unacknowledged) == (2, 1, 2)
    assert account.refusals == 7


def test_files_are_counted_by_run_without_broken_lines(tmp_path: Path) -> None:
    def line(run: str, number: int) -> str:
        attributes = [
            {"key": RUN, "value": {"stringValue": run}},
            {"key": SEQUENCE, "value": {"intValue": str(number)}},
        ]
        return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": attributes}]}]}]})

    (tmp_path / "traces.json").write_text("\n".join([line("a", 1), line("b", 2), line("a", 3)[:-9], line("a", 1)]))
    (tmp_path / "traces-rotated.json").write_text(line("a", 5))

    assert InFiles(tmp_path).stored("a", Signal.TRACES) == Counter({1: 2, 5: 1})


def test_the_proxy_connects_a_host_name_to_its_stand_in(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    certificate = authority.issue("api.datadoghq.eu")
    address, headers = "https://api.datadoghq.eu/api/v1/validate", {"DD-API-KEY": "key"}
    with (
        Datadog(api_key="key", certificate=certificate) as datadog,
        ConnectProxy({"api.datadoghq.eu": datadog.port}) as proxy,
    ):
        answer = httpx.get(address, headers=headers, proxy=proxy.url, verify=trusting)
        assert answer.json() == {"valid": True}
        with datadog.away(), pytest.raises(httpx.ProxyError, match="502"):
            httpx.get(address, headers=headers, proxy=proxy.url, verify=trusting)


def test_the_proxy_refuses_other_host_names() -> None:
    with (
        ConnectProxy({"api.datadoghq.eu": 1}) as proxy,
        httpx.Client(proxy=proxy.url) as client,
        pytest.raises(httpx.ProxyError, match="403"),
    ):
        client.get("https://example.com/")
