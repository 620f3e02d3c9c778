"""How a service runs: what it needs (`spec`), and what a Docker engine makes of it (`engine`).

Components describe services with `ServiceSpec` and hand them to a `Runtime`; they never create a
container themselves. Another way to run services is another implementation of `Runtime`.
"""

from runtime.spec import (
    Attachment,
    ConcurrentJob,
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
    "ConcurrentJob",
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
