"""The labels by which what belongs to a stack is found on an engine.

The runtime sets them. They are repeated here, and held equal by a test, because importing the runtime brings the
whole Pulumi SDK: half a second that every `make status` would pay.
"""

from __future__ import annotations

STACK_LABEL = "letta-platform.stack"
STACK_ID_LABEL = "letta-platform.stack-id"
SERVICE_LABEL = "letta-platform.service"
IMAGE_LABEL = "letta-platform.image"
READER_LABEL = "letta-platform.reader"
"""On throw-away containers that look into a stack's volume; the value is the stack's name."""

SCRATCH_SERVICE = "scratch"
"""Value of `SERVICE` on volumes whose content can be made again."""
FILES_SUFFIX = "-files"
"""End of `SERVICE` on file bundles: a volume, and a container that never runs."""

IMAGE_PREFIX = "letta-platform.invalid/"
BASE_IMAGE = f"{IMAGE_PREFIX}debian:trixie"
