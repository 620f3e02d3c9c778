"""An example of each profile: shown by the golden files, and validated by real collectors in tests."""

from __future__ import annotations

from otel.composition import compose, render
from otel.config_context import ClickHouse, Datadog, Destinations, ReceiverSecurity, Redaction, SigNoz
from otel.listen_layout import CONTAINER, ListenLayout
from otel.profiles import Profile

DESTINATIONS = Destinations(
    clickhouse=ClickHouse(endpoint="https://clickhouse.example:8443"),
    datadog=Datadog(site="datadoghq.eu"),
    signoz=SigNoz(endpoint="https://signoz.example:443"),
)


def example(profile: Profile, *, version: str, layout: ListenLayout = CONTAINER) -> str:
    """Return the YAML text of `profile` with every option enabled."""
    config = compose(
        profile,
        version=version,
        memory_mib=512,
        destinations=DESTINATIONS,
        environment="example",
        device_id="example-device",
        redaction=Redaction.CONTENT,
        log_directories=("replica-1", "replica-2"),
        receiver_security=ReceiverSecurity(tls=True, token=True),
        layout=layout,
    )
    return render(config)
