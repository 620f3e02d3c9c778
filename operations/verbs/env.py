"""`make env`: shell lines that make plain `pulumi` work, for `eval "$(make -s env)"`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping


def exports(wanted: Mapping[str, str], present: Mapping[str, str]) -> str:
    """Return `export` lines for what a shell with the variables `present` lacks."""
    differing = {name: value for name, value in sorted(wanted.items()) if present.get(name) != value}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in differing.items())


def env(stack: str) -> str:
    """Return the lines for this shell."""
    from operations.stack.target import tool_environment

    return exports(tool_environment(stack), os.environ)
