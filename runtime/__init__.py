"""How a service runs: what it needs (`spec`), and what a Docker engine makes of it (`engine`).

Components describe services with `ServiceSpec` and hand them to a `Runtime`; they never create a
container themselves. Another way to run services is another implementation of `Runtime`.
"""

from runtime.spec import (
    Attachment,
    Beside,
    FileBundle,
    HealthCheck,
    Mount,
    PublishedPort,
    Rollout,
    RunningService,
    Runtime,
    ServiceSpec,
    Tmpfs,
)

__all__ = [
    "Attachment",
    "Beside",
    "FileBundle",
    "HealthCheck",
    "Mount",
    "PublishedPort",
    "Rollout",
    "RunningService",
    "Runtime",
    "ServiceSpec",
    "Tmpfs",
]
