"""Regenerates `otel/golden/`: `python -m otel`. Read the difference before you commit it."""

from __future__ import annotations

from pathlib import Path

import otel
from otel.example import example

GOLDEN = Path(__file__).with_name("golden")

if __name__ == "__main__":
    for old in GOLDEN.iterdir():
        old.unlink()
    for version in otel.VERSIONS:
        for profile in otel.PROFILES.values():
            (GOLDEN / f"{profile.name}-{version}.yaml").write_text(example(profile, version=version))
