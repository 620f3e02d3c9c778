"""What the tests of operations share."""

from __future__ import annotations

import pytest

from operations.console import redaction


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test redact the secrets of another one: they are hidden for the rest of a process."""
    monkeypatch.setattr(redaction, "_forms", set())
