"""Settings are fixed once they are made, and found by the key that people write."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from settings import Settings, load
from settings.schema import fields

pytestmark = pytest.mark.unit


def test_settings_cannot_be_changed_or_extended() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.api_port = 1
    with pytest.raises(ValidationError):
        Settings.model_validate({"apiPorrt": 1})


def test_a_value_is_found_by_the_key_that_people_write() -> None:
    assert load({"lettaMemoryMb": 1000}, (), stack="dev").value("lettaMemoryMb") == 1000
    assert {key: Settings().value(key) for key in fields()} == Settings().model_dump(by_alias=True) | {
        "collectorVersion": Settings().collector_version
    }
    with pytest.raises(KeyError):
        Settings().value("letta_memory_mb")
