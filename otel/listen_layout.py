"""Where a collector runs: addresses that it listens on, and where its files lie."""

from __future__ import annotations

from dataclasses import dataclass

from otel.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenLayout:
    """Addresses and folders; the defaults are those of the container.

    In a container every interface is listened on, because the container's networks decide who reaches it.
    """

    address: str = "0.0.0.0"  # noqa: S104 - see above
    grpc_port: int = 4317
    http_port: int = 4318
    health_port: int = 13133
    metrics_port: int = 8888
    outside_grpc_port: int = 4327
    outside_http_port: int = 4328
    """For clients that have to show a token."""
    data_directory: str = "/var/lib/otelcol"
    """What the file exporters write; `queue_directory` lies below it."""
    secrets_directory: str = "/run/secrets/otelcol"
    certificates_directory: str = "/var/lib/certificates"
    """`server.pem` and `server-key.pem`, which may be replaced at any time."""
    log_directory: str = "/var/log/letta"
    """A folder for each server replica, with its log files."""

    def __post_init__(self) -> None:
        for folder in (
            self.data_directory,
            self.secrets_directory,
            self.certificates_directory,
            self.log_directory,
        ):
            # The collector expands `$` and braces in references to files, and globs in paths of logs.
            if not folder.startswith("/") or any(character in folder for character in "${}*?[]\\\n"):
                raise ConfigurationError(
                    f"a collector's folder must be an absolute path of usual characters: {folder!r} is not"
                )

    @property
    def queue_directory(self) -> str:
        """Queues of exporters and offsets of logs: what must outlive the process."""
        return f"{self.data_directory}/queue"


CONTAINER = ListenLayout()
