"""The variables that make `pulumi` work in a shell."""

from __future__ import annotations

import os
from collections.abc import Mapping


def shell_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give the variables to add to `environ`; what a user has set stays.

    Makes the state folder and its passphrase when they are missing.

    Raises:
        StepFailedError: when the passphrase is lost, or its file is readable by others.
    """
    raise NotImplementedError
