"""The addresses that a collector listens on, and the folders of its files."""

from __future__ import annotations

from dataclasses import dataclass

from otel.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenLayout:
    """Addresses and folders; the defaults are those in a container.

    There it listens on every interface, because the container's networks control access.
    """

    address: str = "0.0.0.0"  # noqa: S104 - see above
    grpc_port: int = 4317
    http_port: int = 4318
    health_port: int = 13133
    metrics_port: int = 8888
    outside_grpc_port: int = 4327
    outside_http_port: int = 4328
    """For clients that must send a token."""
    data_directory: str = "/var/lib/otelcol"
    """Output of the file exporters; contains `queue_directory`."""
    secrets_directory: str = "/run/secrets/otelcol"
    certificates_directory: str = "/var/lib/certificates"
    """Contains `server.pem` and `server-key.pem`, which may be replaced at any time."""
    log_directory: str = "/var/log/letta"
    """Contains one folder per server replica, with its log files."""

    def __post_init__(self) -> None:
        for folder in (
            self.data_directory,
            self.secrets_directory,
            self.certificates_directory,
            self.log_directory,
        ):
            # The collector expands `$` and braces in file references, and globs in log paths.
            if not folder.startswith("/") or any(character in folder for character in "${}*?[]\\\n"):
                raise ConfigurationError(
                    f"a collector's folder must be an absolute path without any of ${{}}*?[]\\: {folder!r} is not"
                )

    @property
    def queue_directory(self) -> str:
        """Exporters' queues and log files' offsets, which must outlive the process."""
        return f"{self.data_directory}/queue"


CONTAINER = ListenLayout()
