"""The collector's configuration, composed for one profile and one collector version.

Owns the profiles (data), the configuration of each component, and what differs between collector versions. No
Pulumi, no files, no network: the result is a mapping, or its YAML text, and equal arguments return equal text.
"""

from __future__ import annotations

from otel.choice import Choice, choose
from otel.component_configs import METRICS_FILE, TRACES_FILE
from otel.composition import compose, go_memory_limit, render
from otel.config_context import ClickHouse, Datadog, Destinations, QueueBudget, ReceiverSecurity, Redaction, SigNoz
from otel.errors import ConfigurationError
from otel.limitations import limitations
from otel.listen_layout import CONTAINER, ListenLayout
from otel.pipelines import queues
from otel.profiles import PROFILES, Profile
from otel.secrets import (
    CLICKHOUSE_PASSWORD,
    DATADOG_API_KEY,
    OTLP_TOKEN,
    SIGNOZ_INGESTION_KEY,
    secret_file,
    secret_names,
)
from otel.versions import DEFAULT_VERSION, VERSIONS, VULNERABILITIES, CollectorVersion, Feature

__all__ = [
    "CLICKHOUSE_PASSWORD",
    "CONTAINER",
    "DATADOG_API_KEY",
    "DEFAULT_VERSION",
    "METRICS_FILE",
    "OTLP_TOKEN",
    "PROFILES",
    "SIGNOZ_INGESTION_KEY",
    "TRACES_FILE",
    "VERSIONS",
    "VULNERABILITIES",
    "Choice",
    "ClickHouse",
    "CollectorVersion",
    "ConfigurationError",
    "Datadog",
    "Destinations",
    "Feature",
    "ListenLayout",
    "Profile",
    "QueueBudget",
    "ReceiverSecurity",
    "Redaction",
    "SigNoz",
    "choose",
    "compose",
    "go_memory_limit",
    "limitations",
    "queues",
    "render",
    "secret_file",
    "secret_names",
]
