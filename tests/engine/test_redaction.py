"""What collectors redact from spans, checked in the files that they write."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import otel
from testbed.collector import Collector, layout, program
from testbed.polling import eventually

pytestmark = pytest.mark.engine

CONTENT = "the secret plan"
KEY = "sk-abcdefghijklmnop0123"
HIDDEN = "HunterTwo22HunterTwo22HunterTwo22"
NAMES = (
    *("openai_api_key", "apiKey", "ApiKey", "X-API-Key", "X-API-key", "OPENAI_API_KEY", "apikey"),
    *(
        "password",
        "Password",
        "passWord",
        "ACCESS_Token",
        "DB_PASSWORD",
        "passwd",
        "access_token",
        "accessToken",
        "ACCESS_TOKEN",
    ),
    *("secret", "clientSecret", "CLIENT_SECRET", "authorization", "Authorization", "credentials", "Credential"),
)
"""Attributes that are removed, whatever their value."""
FORMS = (
    f"sk-{HIDDEN}",
    f"gsk_{HIDDEN}",
    f"AIza{HIDDEN}",
    *(f"Authorization: {word} {HIDDEN}==" for word in ("Bearer", "bearer", "BEARER")),
    *(f"{name}={HIDDEN}" for name in ("api_key", "apikey", "OPENAI_API_KEY", "APIKEY", "x-api-key")),
    *(f'{{"{name}": "{HIDDEN}"}}' for name in ("apiKey", "openaiApiKey", "Api-Key", "api-key")),
    *(f"{name}: '{HIDDEN}'" for name in ("password", "Password", "DB_PASSWORD", "passwd", "PASSWD")),
    *(f"{name}={HIDDEN}&x=1" for name in ("access_token", "access-token", "accessToken", "ACCESS_TOKEN")),
    *(f"{{'{name}': '{HIDDEN}'}}" for name in ("AccessToken", "secret", "clientSecret", "CLIENT_SECRET")),
    f"postgresql://letta:{HIDDEN}@postgres:5432/letta",
)
"""Texts that contain a credential."""


def listed(**attributes: str) -> list[dict[str, Any]]:
    return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in attributes.items()]


def span() -> dict[str, Any]:
    """Return a span like the server's: a request's body, a method's arguments, a model's answer, a tool call."""
    now = str(time.time_ns())
    return {
        "traceId": "0" * 31 + "1",
        "spanId": "0" * 15 + "1",
        "name": "agent_step",
        "startTimeUnixNano": now,
        "endTimeUnixNano": now,
        "attributes": listed(
            http__route="/v1/agents/{agent_id}/messages",
            http__request__body__messages=CONTENT,
            parameter__input_messages=CONTENT,
            parameter__usage="total_tokens=7",
            request_data=CONTENT,
            response_data=CONTENT,
            note=f"called with {KEY}",
            **dict.fromkeys(NAMES, KEY),
            **{f"form_{number}": f"see {text} here" for number, text in enumerate(FORMS)},
        ),
        "events": [
            {"name": "llm_request_sent", "timeUnixNano": now, "attributes": listed(request=CONTENT)},
            {"name": "llm_request_ms", "timeUnixNano": now, "attributes": listed(duration_ms="123.5")},
            {"name": "start_send_mail_execution", "timeUnixNano": now, "attributes": listed(text=CONTENT)},
            {"name": "exception", "timeUnixNano": now, "attributes": listed(exception__type="ValueError")},
        ],
    }


def written(folder: Path, redaction: otel.Redaction, version: str) -> str:
    """Send the span to a collector, and return the file that it wrote."""
    with layout(folder) as here:
        configuration = otel.compose(otel.PROFILES["file-dev"], version=version, redaction=redaction, layout=here)
        with Collector(
            program(version),
            yaml.safe_load(otel.render(configuration)),
            folder=folder,
            health=f"http://127.0.0.1:{here.health_port}",
            version=version,
        ):
            body = {"resourceSpans": [{"scopeSpans": [{"spans": [span()]}]}]}
            answer = httpx.post(f"http://127.0.0.1:{here.http_port}/v1/traces", json=body)
            assert answer.status_code == 200, answer.text
            for attempt in eventually(30):
                with attempt:
                    text = (folder / "data" / otel.TRACES_FILE).read_text()
                    assert json.loads(text.splitlines()[0])
    return text


@pytest.mark.parametrize("version", otel.VERSIONS)
def test_redacting_content_removes_what_users_and_models_wrote(tmp_path: Path, version: str) -> None:
    text = written(tmp_path, otel.Redaction.CONTENT, version)

    assert CONTENT not in text
    assert KEY not in text
    for kept in ("agent_step", "/v1/agents/{agent_id}/messages", "total_tokens=7", "123.5", "ValueError"):
        assert kept in text
    assert "kept.usage" not in text


def test_by_default_only_keys_are_masked(tmp_path: Path) -> None:
    text = written(tmp_path, otel.Redaction.KEYS, otel.DEFAULT_VERSION)

    assert KEY not in text
    shown = [text[max(at - 60, 0) : at] for at in range(len(text)) if text.startswith(HIDDEN, at)]
    assert not shown, f"after {shown}"
    assert text.count("[REDACTED]") == len(FORMS) + 1
    assert text.count("see ") == text.count(" here") == len(FORMS)
    assert "letta:[REDACTED]@postgres:5432/letta" in text
    assert text.count(CONTENT) == 6
    assert "called with [REDACTED]" in text


def test_nothing_is_redacted_when_redaction_is_off(tmp_path: Path) -> None:
    assert KEY in written(tmp_path, otel.Redaction.NOTHING, otel.DEFAULT_VERSION)
