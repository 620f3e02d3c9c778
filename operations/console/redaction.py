"""Takes known secret values out of text before anybody sees it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote

SHORTEST = 5
"""Characters. Shorter values are left: taking out every `a` would hide the text and not the secret."""
MASK = "[secret]"


class Redactor:
    """Replaces each of the given values, and its usual encodings, by `[secret]`."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for value in values:
            for part in {value, *value.splitlines()}:
                if len(part) >= SHORTEST:
                    forms |= {part, quote(part, safe=""), base64.b64encode(part.encode()).decode()}
        # Longest first: a value that contains another one is taken out as a whole.
        alternatives = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        self._pattern = re.compile(alternatives) if alternatives else None

    def __call__(self, text: str) -> str:
        """Give the text without the values."""
        return self._pattern.sub(MASK, text) if self._pattern else text
