"""The reference of settings: a row for every key."""

from __future__ import annotations

import pytest

from development import configuration_docs
from settings.model import SECRET_KEYS
from settings.schema import fields

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("key", sorted(fields()))
def test_the_documented_table_has_a_row_for_every_key(key: str) -> None:
    (row,) = [line for line in configuration_docs.render().splitlines() if line.startswith(f"| `letta:{key}` |")]
    _, kind, default, secret, meaning, _ = (cell.strip() for cell in row.split(" |"))
    assert kind
    assert default
    assert secret == ("yes" if key in SECRET_KEYS else "")
    assert meaning == fields()[key].description
