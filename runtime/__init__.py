"""How a service runs: what it needs (`spec`), and what a Docker engine makes of it (`engine`).

Components describe services with `ServiceSpec` and hand them to a `Runtime`; they never create a container
themselves. Another kind of runtime is another implementation of `Runtime` (`factory` picks one).
"""

from runtime.spec import (
    Attachment,
    ConcurrentJob,
    FileBundle,
    Files,
    HealthCheck,
    HostFolder,
    Limits,
    Mount,
    PublishedPort,
    Rollout,
    RunningService,
    Runtime,
    RuntimeArgs,
    ServiceSpec,
    Tmpfs,
    Volume,
)

__all__ = [
    "Attachment",
    "ConcurrentJob",
    "FileBundle",
    "Files",
    "HealthCheck",
    "HostFolder",
    "Limits",
    "Mount",
    "PublishedPort",
    "Rollout",
    "RunningService",
    "Runtime",
    "RuntimeArgs",
    "ServiceSpec",
    "Tmpfs",
    "Volume",
]
