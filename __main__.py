"""The Letta platform of one stack: read its settings, compose it, export where it is reached."""

from __future__ import annotations

import os
from pathlib import Path

import pulumi
import pulumi_docker as docker
import pulumi_random as random

import settings
from components.platform import Platform, PlatformArgs

pulumi.require_pulumi_version(">=3.259.0")

stack = pulumi.get_stack()
# A fact of the machine and no setting of the stack: `make env` and `make up` know it.
ca_bundle = os.environ.get("LETTA_CA_BUNDLE")
platform = Platform(
    f"letta-{stack}",
    PlatformArgs(
        stack=stack,
        settings=settings.from_pulumi(),
        ca_bundle=Path(ca_bundle) if ca_bundle else None,
    ),
    opts=pulumi.ResourceOptions(providers=[docker.Provider("engine"), random.Provider("random")]),
)
for key, value in platform.outputs.items():
    pulumi.export(key, value)
