"""Settings that a stack can be changed to and from: every profile and composition, and every setting once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import catalogue
import otel
from testbed.certificates import Authority

Settings = Mapping[str, object]

CLICKHOUSE: Settings = {
    "clickhouseEndpoint": "https://clickhouse.example:8443",
    "clickhousePassword": "click$house",
    "clickhouseUsername": "letta",
    "clickhouseDatabase": "letta",
}
DATADOG: Settings = {"datadogSite": "datadoghq.eu", "datadogApiKey": "datadog-key"}
SIGNOZ: Settings = {"signozEndpoint": "https://signoz.example:443", "signozIngestionKey": "signoz-key"}
PINNED: Settings = {
    "pinnedImages": {
        name: f"registry.example/{name}@sha256:{'0' * 64}" for name in catalogue.images(catalogue.Composition.ALL)
    }
}
TWO_COLLECTORS: Settings = {"telemetryProfile": "clickhouse", "collectorReplicas": 2, **CLICKHOUSE}
TWO_SERVERS: Settings = {"lettaReplicas": 2, "postgresMaxConnections": 200}
DATA: Settings = {"services": "data"}


def source_directory(folder: Path) -> Settings:
    """Return the setting of a source checkout, which is created below `folder`."""
    (folder / "letta").mkdir(exist_ok=True)
    (folder / "letta" / "__init__.py").touch()
    return {"sourceDirectory": str(folder)}


def table(folder: Path) -> dict[str, Settings]:
    """Return the settings by what is special about them; files that they name are created in `folder`."""
    trusted = str(Authority(folder).certificate)
    destinations = {**CLICKHOUSE, **DATADOG, **SIGNOZ}
    ports = [port for service in catalogue.SERVICES for port in service.ports]
    return {
        "nothing": {},
        **{f"profile {name}": {"telemetryProfile": name, **destinations} for name in otel.PROFILES},
        "two collectors": TWO_COLLECTORS,
        "two servers": TWO_SERVERS,
        "two servers, two collectors": {**TWO_SERVERS, **TWO_COLLECTORS},
        "data services": DATA,
        "data services, pinned": {**DATA, **PINNED},
        "TLS": {"requireTls": True, "otlpHostName": "letta.example"},
        "source directory": source_directory(folder),
        "subnet": {"networkSubnet": "10.87.0.0/22"},
        "another subnet": {"networkSubnet": "10.88.0.0/22"},
        "all addresses": {"bindAddress": "0.0.0.0"},  # noqa: S104
        "pinned images": PINNED,
        **{f"collector {version}": {"collectorVersion": version} for version in otel.VERSIONS},
        **{f"protectData {value}": {"protectData": value} for value in (True, False)},
        "keys": {"encryptionKey": "k" * 40, "serverPassword": "p" * 40, "otlpToken": "t" * 40},
        "a rotated database password": {"databaseCredentialGeneration": 2},
        "ports": {port: 9000 + index for index, port in enumerate(ports)},
        "memory and CPUs": {
            **{service.memory: 2048 for service in catalogue.SERVICES},
            **{f"{service.name}Cpus": "1.5" for service in catalogue.SERVICES},
            "lettaPoolSize": 5,
            "lettaPoolMaxOverflow": 5,
            "startTimeoutSeconds": 300,
        },
        "images": {"baseImage": "debian:trixie-slim", "caBundle": trusted, "lettaVersion": "0.16.8"},
        "model providers": {
            "openaiApiKey": "o" * 40,
            "openaiBaseUrl": "https://openai.example/v1",
            "anthropicApiKey": "a" * 40,
            "ollamaBaseUrl": "http://ollama.example:11434",
            "vllmBaseUrl": "http://vllm.example:8000/v1",
            "azureApiKey": "z" * 40,
            "azureBaseUrl": "https://name.openai.azure.com",
            "azureApiVersion": "2024-10-21",
            "geminiApiKey": "g" * 40,
            "geminiBaseUrl": "https://generativelanguage.googleapis.com",
            "groqApiKey": "q" * 40,
            "serverEnvironment": {"SOME_VARIABLE": "value"},
            "serverSecrets": {"SOME_KEY": "s" * 40},
        },
        "telemetry": {
            **CLICKHOUSE,
            "logLevel": "debug",
            "deploymentEnvironment": "elsewhere",
            "telemetryVariant": "production",
            "telemetryRedaction": "content",
            "telemetryRetentionDays": 7,
            "telemetrySpansPerSecond": 100,
            "telemetrySpanBytes": 500,
            "telemetryOutageSeconds": 600,
            "telemetryQueueDiskMb": 3000,
            "collectorWatchSeconds": 0,
            "telemetryCaBundle": trusted,
            "grafanaUrl": "https://grafana.example",
        },
    }
