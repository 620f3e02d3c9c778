"""What people read of the alerts; tests/engine/test_alerts.py makes them fire."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import otel
from toolchain.locations import ROOT

pytestmark = pytest.mark.unit

RULES = yaml.safe_load(Path(otel.__file__).with_name("alerts.yaml").read_text())
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
PAGE = (ROOT / "docs" / "dashboards.md").read_text()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_what_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}


def test_the_page_lists_every_alert_with_its_severity() -> None:
    listed = re.findall(r"^\| (LettaCollector\w+) \| (\w+) \|", PAGE, re.MULTILINE)

    assert listed == [(alert["alert"], alert["labels"]["severity"]) for alert in ALERTS]
