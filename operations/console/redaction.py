"""Removes the secrets of this process from whatever is printed or logged.

Whoever decrypts a secret hides it once; `terminal`, `process` and `run_log` write redacted text only.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

SHORTEST = 5
"""Characters. Shorter values are left: taking out every `a` would hide the text and not the secret."""
MASK = "[secret]"

_forms: set[str] = set()
"""What is hidden: values, their lines, and their usual encodings."""


def hide(values: Iterable[str]) -> None:
    """Remove these values, and each line of them, from everything that this process writes from now on."""
    for value in values:
        for part in {value, *value.splitlines()}:
            if len(part) >= SHORTEST:
                encoded = base64.b64encode(part.encode()).decode()
                _forms.update((part, quote(part, safe=""), encoded, *_in_json(part)))


def _in_json(text: str) -> Iterator[str]:
    yield json.dumps(text)[1:-1]
    as_it_is = json.dumps(text, ensure_ascii=False)[1:-1]
    yield as_it_is
    # As Go's encoder writes it, which the collector and Docker use.
    yield re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", as_it_is)


def redacted(text: str) -> str:
    """Return the text without what is hidden."""
    # The mask comes first, so that text which was redacted before stays as it is. Then longest first: a value that
    # contains another one is taken out as one.
    alternatives = (MASK, *sorted(_forms, key=len, reverse=True))
    return re.sub("|".join(map(re.escape, alternatives)), MASK, text)
