"""Mistakes that users make in a stack file, each with the key, rule and command that the refusal names."""

from __future__ import annotations

import os
from typing import Any

import pytest

import catalogue
from catalogue import Composition
from settings import SECRET_KEYS, SettingsError, load
from settings.values import PROJECT_ROOT

pytestmark = pytest.mark.unit

DIGEST = "sha256:" + "0" * 64
PASSWORD = "correct-horse-battery"
ALL_IMAGES = (*sorted(catalogue.images(Composition.ALL) - {"collector"}), "collector")


# What the user wrote → the key that is named, the rule, the command.
MISTAKES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "an unknown key": (
        {"letta:apiPorrt": "8283"},
        "letta:apiPorrt",
        "is not a known setting: did you mean letta:apiPort?",
        "pulumi config rm letta:apiPorrt --stack dev",
    ),
    "an unknown key like no other": (
        {"letta:zzz": "1"},
        "letta:zzz",
        "is not a known setting: docs/configuration.md lists all",
        "pulumi config rm letta:zzz --stack dev",
    ),
    "text where a number belongs": (
        {"letta:apiPort": "many"},
        "letta:apiPort",
        "must be a port: a whole number from 1 to 65535",
        "pulumi config set letta:apiPort 8283 --stack dev",
    ),
    "a fraction where a whole number belongs": (
        {"letta:lettaReplicas": "1.5"},
        "letta:lettaReplicas",
        "must be a whole number from 1 to 16",
        "pulumi config set letta:lettaReplicas 1 --stack dev",
    ),
    "a truth value where a number belongs": (
        {"letta:apiPort": True},
        "letta:apiPort",
        "must be a port: a whole number from 1 to 65535",
        "pulumi config set letta:apiPort 8283 --stack dev",
    ),
    "yes where true belongs": (
        {"letta:protectData": "yes"},
        "letta:protectData",
        "must be true or false",
        "pulumi config set letta:protectData false --stack dev",
    ),
    "a text where an object belongs": (
        {"letta:serverEnvironment": "FOO=bar"},
        "letta:serverEnvironment",
        "must map names to strings",
        "pulumi config set --path letta:serverEnvironment.NAME VALUE --stack dev",
    ),
    "an object within an object": (
        {"letta:serverEnvironment": '{"FOO": {"bar": 1}}'},
        "letta:serverEnvironment.FOO",
        "must be text",
        "pulumi config set --path letta:serverEnvironment.FOO VALUE --stack dev",
    ),
    "an object where a text belongs": (
        {"letta:bindAddress": {"a": "b"}},
        "letta:bindAddress",
        "must be text",
        "pulumi config set letta:bindAddress 127.0.0.1 --stack dev",
    ),
    "a choice that does not exist": (
        {"letta:services": "some"},
        "letta:services",
        "must be one of all, data",
        "pulumi config set letta:services all --stack dev",
    ),
    "a log level that does not exist": (
        {"letta:logLevel": "trace"},
        "letta:logLevel",
        "must be one of info, debug",
        "pulumi config set letta:logLevel info --stack dev",
    ),
    "a telemetry profile that does not exist": (
        {"letta:telemetryProfile": "datadog"},
        "letta:telemetryProfile",
        "must be one of file-dev, file, clickhouse-dev, clickhouse, clickhouse-prod, signoz",
        "pulumi config set letta:telemetryProfile clickhouse --stack dev",
    ),
    "a telemetry profile whose destination is not set": (
        {"letta:telemetryProfile": "clickhouse-prod"},
        "letta:telemetryProfile",
        "cannot be used: profile clickhouse-prod needs ClickHouse and Datadog",
        "pulumi config rm letta:telemetryProfile --stack dev",
    ),
    "a collector version that is not supported": (
        {"letta:collectorVersion": "0.150.0"},
        "letta:collectorVersion",
        "must be a supported collector version: 0.149.0, 0.96.0",
        "pulumi config set letta:collectorVersion 0.149.0 --stack dev",
    ),
    "a redaction that does not exist": (
        {"letta:telemetryRedaction": "all"},
        "letta:telemetryRedaction",
        "must be one of nothing, keys, content",
        "pulumi config set letta:telemetryRedaction keys --stack dev",
    ),
    "telemetry that is kept for no time": (
        {"letta:telemetryRetentionDays": "0"},
        "letta:telemetryRetentionDays",
        "must be a whole number of days from 1 to 3650",
        "pulumi config set letta:telemetryRetentionDays 30 --stack dev",
    ),
    "three collectors": (
        {"letta:collectorReplicas": "3"},
        "letta:collectorReplicas",
        "must be 1 or 2",
        "pulumi config set letta:collectorReplicas 1 --stack dev",
    ),
    "queues that do not fit": (
        {
            "letta:signozEndpoint": "https://signoz.example:443",
            "letta:signozIngestionKey": PASSWORD,
            "letta:telemetryQueueDiskMb": "1000",
        },
        "letta:telemetryQueueDiskMb",
        "is too small: the queues of profile signoz need 1890 MB",
        "pulumi config set letta:telemetryQueueDiskMb 1890 --stack dev",
    ),
    "a port out of range": (
        {"letta:otlpGrpcPort": "65536"},
        "letta:otlpGrpcPort",
        "must be a port: a whole number from 1 to 65535",
        "pulumi config set letta:otlpGrpcPort 4317 --stack dev",
    ),
    "port zero": (
        {"letta:apiPort": "0"},
        "letta:apiPort",
        "must be a port: a whole number from 1 to 65535",
        "pulumi config set letta:apiPort 8283 --stack dev",
    ),
    "two services on one port": (
        {"letta:otlpHttpPort": "4317"},
        "letta:otlpHttpPort",
        "must differ from letta:otlpGrpcPort: two services cannot listen on one port",
        "pulumi config set letta:otlpHttpPort 4318 --stack dev",
    ),
    "PostgreSQL and Redis on one port": (
        {"letta:services": "data", "letta:redisPort": "5432"},
        "letta:redisPort",
        "must differ from letta:postgresPort: two services cannot listen on one port",
        "pulumi config set letta:redisPort 6379 --stack dev",
    ),
    "a host name as bind address": (
        {"letta:bindAddress": "localhost"},
        "letta:bindAddress",
        "must be an IPv4 address of this machine: 127.0.0.1 (reached from here only) or 0.0.0.0 (every interface)",
        "pulumi config set letta:bindAddress 127.0.0.1 --stack dev",
    ),
    "a multicast bind address": (
        {"letta:bindAddress": "224.0.0.1"},
        "letta:bindAddress",
        "must be an IPv4 address of this machine",
        "pulumi config set letta:bindAddress 127.0.0.1 --stack dev",
    ),
    "databases published beyond loopback": (
        {"letta:services": "data", "letta:bindAddress": "0.0.0.0"},  # noqa: S104 - the point of the test
        "letta:bindAddress",
        "must be a loopback address with services=data: Redis has no password",
        "pulumi config set letta:bindAddress 127.0.0.1 --stack dev",
    ),
    "less memory than PostgreSQL needs": (
        {"letta:postgresMemoryMb": "128"},
        "letta:postgresMemoryMb",
        "must be at least 256 (MiB)",
        "pulumi config set letta:postgresMemoryMb 512 --stack dev",
    ),
    "less memory than Redis needs": (
        {"letta:redisMemoryMb": "16"},
        "letta:redisMemoryMb",
        "must be at least 64 (MiB)",
        "pulumi config set letta:redisMemoryMb 128 --stack dev",
    ),
    "less memory than the server needs": (
        {"letta:lettaMemoryMb": "512"},
        "letta:lettaMemoryMb",
        "must be at least 768 (MiB): an idle server takes about 460",
        "pulumi config set letta:lettaMemoryMb 1536 --stack dev",
    ),
    "less memory than nginx needs": (
        {"letta:nginxMemoryMb": "8"},
        "letta:nginxMemoryMb",
        "must be at least 32 (MiB)",
        "pulumi config set letta:nginxMemoryMb 64 --stack dev",
    ),
    "less memory than the collector needs": (
        {"letta:collectorMemoryMb": "64"},
        "letta:collectorMemoryMb",
        "must be at least 128 (MiB)",
        "pulumi config set letta:collectorMemoryMb 256 --stack dev",
    ),
    "no CPU at all": (
        {"letta:lettaCpus": "0"},
        "letta:lettaCpus",
        "must be a number of CPUs from 0.1 to 1024, such as 1.5",
        "pulumi config set letta:lettaCpus 2 --stack dev",
    ),
    "an endpoint without scheme": (
        {"letta:clickhouseEndpoint": "clickhouse.example:8123", "letta:clickhousePassword": PASSWORD},
        "letta:clickhouseEndpoint",
        "must be a URL with its scheme, such as https://host.example or http://host.example:8080",
        "pulumi config set letta:clickhouseEndpoint https://clickhouse.example:8443 --stack dev",
    ),
    "a native ClickHouse endpoint, which the server cannot use": (
        {"letta:clickhouseEndpoint": "tcp://clickhouse.example:9000", "letta:clickhousePassword": PASSWORD},
        "letta:clickhouseEndpoint",
        "must be a URL with its scheme",
        "pulumi config set letta:clickhouseEndpoint https://clickhouse.example:8443 --stack dev",
    ),
    "an endpoint with a path": (
        {"letta:signozEndpoint": "https://signoz.example/v1/traces", "letta:signozIngestionKey": PASSWORD},
        "letta:signozEndpoint",
        "must be a URL of scheme, host and port only",
        "pulumi config set letta:signozEndpoint https://ingest.eu.signoz.cloud:443 --stack dev",
    ),
    "a base URL without scheme": (
        {"letta:openaiBaseUrl": "api.openai.com/v1"},
        "letta:openaiBaseUrl",
        "must be a URL with its scheme",
        "pulumi config set letta:openaiBaseUrl https://api.openai.com/v1 --stack dev",
    ),
    "a port without meaning in a URL": (
        {"letta:ollamaBaseUrl": "http://ollama.example:99999"},
        "letta:ollamaBaseUrl",
        "must be a URL with its scheme",
        "pulumi config set letta:ollamaBaseUrl http://ollama.example:11434 --stack dev",
    ),
    "a password in a URL": (
        {"letta:grafanaUrl": "https://admin:hunter22@grafana.example"},
        "letta:grafanaUrl",
        "must be a URL without user or password in it",
        "pulumi config set letta:grafanaUrl https://grafana.example --stack dev",
    ),
    "a Datadog site with a scheme": (
        {"letta:datadogSite": "https://datadoghq.eu", "letta:datadogApiKey": PASSWORD},
        "letta:datadogSite",
        "must be a host name without scheme or path, such as datadoghq.eu",
        "pulumi config set letta:datadogSite datadoghq.com --stack dev",
    ),
    "a name of the machine with a port": (
        {"letta:otlpHostName": "letta.example.com:4317", "letta:requireTls": "true"},
        "letta:otlpHostName",
        "must be a host name without scheme or path",
        "pulumi config set letta:otlpHostName letta.example.com --stack dev",
    ),
    "a name of the machine without a certificate": (
        {"letta:otlpHostName": "letta.example.com"},
        "letta:requireTls",
        "must be true when letta:otlpHostName is set",
        "pulumi config set letta:requireTls true --stack dev",
    ),
    "http to ClickHouse where TLS is required": (
        {
            "letta:requireTls": "true",
            "letta:clickhouseEndpoint": "http://clickhouse.example:8123",
            "letta:clickhousePassword": PASSWORD,
        },
        "letta:clickhouseEndpoint",
        "must start with https:// because letta:requireTls is true",
        "pulumi config set letta:clickhouseEndpoint https://clickhouse.example:8443 --stack dev",
    ),
    "http to SigNoz where TLS is required": (
        {
            "letta:requireTls": "true",
            "letta:signozEndpoint": "http://signoz.example:4317",
            "letta:signozIngestionKey": PASSWORD,
        },
        "letta:signozEndpoint",
        "must start with https:// because letta:requireTls is true",
        "pulumi config set letta:signozEndpoint https://ingest.eu.signoz.cloud:443 --stack dev",
    ),
    "a ClickHouse endpoint without password": (
        {"letta:clickhouseEndpoint": "https://clickhouse.example:8443"},
        "letta:clickhousePassword",
        "is missing: letta:clickhouseEndpoint is set, and one needs the other",
        "pulumi config set --secret letta:clickhousePassword --stack dev",
    ),
    "a ClickHouse password without endpoint": (
        {"letta:clickhousePassword": PASSWORD},
        "letta:clickhouseEndpoint",
        "is missing: letta:clickhousePassword is set, and one needs the other",
        "pulumi config set letta:clickhouseEndpoint https://clickhouse.example:8443 --stack dev",
    ),
    "a Datadog site without key": (
        {"letta:datadogSite": "datadoghq.eu"},
        "letta:datadogApiKey",
        "is missing: letta:datadogSite is set, and one needs the other",
        "pulumi config set --secret letta:datadogApiKey --stack dev",
    ),
    "a Datadog key without site": (
        {"letta:datadogApiKey": PASSWORD},
        "letta:datadogSite",
        "is missing: letta:datadogApiKey is set, and one needs the other",
        "pulumi config set letta:datadogSite datadoghq.com --stack dev",
    ),
    "a SigNoz endpoint without key": (
        {"letta:signozEndpoint": "https://ingest.eu.signoz.cloud:443"},
        "letta:signozIngestionKey",
        "is missing: letta:signozEndpoint is set, and one needs the other",
        "pulumi config set --secret letta:signozIngestionKey --stack dev",
    ),
    "a SigNoz key without endpoint": (
        {"letta:signozIngestionKey": PASSWORD},
        "letta:signozEndpoint",
        "is missing: letta:signozIngestionKey is set, and one needs the other",
        "pulumi config set letta:signozEndpoint https://ingest.eu.signoz.cloud:443 --stack dev",
    ),
    "an Azure address without key": (
        {"letta:azureBaseUrl": "https://name.openai.azure.com"},
        "letta:azureApiKey",
        "is missing: letta:azureBaseUrl is set, and one needs the other",
        "pulumi config set --secret letta:azureApiKey --stack dev",
    ),
    "an Azure key without address": (
        {"letta:azureApiKey": PASSWORD},
        "letta:azureBaseUrl",
        "is missing: letta:azureApiKey is set, and one needs the other",
        "pulumi config set letta:azureBaseUrl https://name.openai.azure.com --stack dev",
    ),
    "an Azure version alone": (
        {"letta:azureApiVersion": "2024-10-21"},
        "letta:azureApiVersion",
        "is set without letta:azureBaseUrl and letta:azureApiKey",
        "pulumi config rm letta:azureApiVersion --stack dev",
    ),
    "a server password with forbidden characters": (
        {"letta:serverPassword": "sixteen chars & more"},
        "letta:serverPassword",
        "must be 16 to 128 characters: letters, digits and . _ ~ -",
        "pulumi config set --secret letta:serverPassword --stack dev",
    ),
    "a short server password": (
        {"letta:serverPassword": "letmein"},
        "letta:serverPassword",
        "must be 16 to 128 characters: letters, digits and . _ ~ -",
        "pulumi config set --secret letta:serverPassword --stack dev",
    ),
    "a short encryption key": (
        {"letta:encryptionKey": "short"},
        "letta:encryptionKey",
        "must be 32 to 256 characters",
        "pulumi config set --secret letta:encryptionKey --stack dev",
    ),
    "an API key of two lines": (
        {"letta:openaiApiKey": "sk-one\nsk-two"},
        "letta:openaiApiKey",
        "must not contain control characters or line breaks",
        "pulumi config set --secret letta:openaiApiKey --stack dev",
    ),
    "an API key with a line break behind it": (
        {"letta:anthropicApiKey": "sk-one\n"},
        "letta:anthropicApiKey",
        "must not contain control characters or line breaks",
        "pulumi config set --secret letta:anthropicApiKey --stack dev",
    ),
    "an API key with a space before it": (
        {"letta:groqApiKey": " sk-one"},
        "letta:groqApiKey",
        "must not start or end with a space",
        "pulumi config set --secret letta:groqApiKey --stack dev",
    ),
    "a source directory that is not there": (
        {"letta:sourceDirectory": "/nowhere/letta"},
        "letta:sourceDirectory",
        "must be the path of a directory that exists",
        "pulumi config set letta:sourceDirectory ../letta --stack dev",
    ),
    "a source directory of something else": (
        {"letta:sourceDirectory": "/"},
        "letta:sourceDirectory",
        "must be the root of the server's source: a directory that holds letta/__init__.py",
        "pulumi config set letta:sourceDirectory ../letta --stack dev",
    ),
    "a CA bundle that is not there": (
        {"letta:caBundle": "/nowhere/ca.pem"},
        "letta:caBundle",
        "must be the path of a file that exists and can be read",
        "pulumi config set letta:caBundle /etc/ssl/certs/ca-certificates.crt --stack dev",
    ),
    "a CA bundle without certificates": (
        {"letta:caBundle": str(PROJECT_ROOT / "pyproject.toml")},
        "letta:caBundle",
        "must be a file of certificates in PEM form",
        "pulumi config set letta:caBundle /etc/ssl/certs/ca-certificates.crt --stack dev",
    ),
    "telemetry's CA bundle that is not there": (
        {"letta:telemetryCaBundle": "/nowhere/ca.pem"},
        "letta:telemetryCaBundle",
        "must be the path of a file that exists and can be read",
        "pulumi config set letta:telemetryCaBundle /etc/ssl/company-ca.pem --stack dev",
    ),
    "telemetry's CA bundle that is a folder": (
        {"letta:telemetryCaBundle": "settings"},
        "letta:telemetryCaBundle",
        "must be the path of a file that exists and can be read",
        "pulumi config set letta:telemetryCaBundle /etc/ssl/company-ca.pem --stack dev",
    ),
    "telemetry's CA bundle without certificates": (
        {"letta:telemetryCaBundle": "pyproject.toml"},
        "letta:telemetryCaBundle",
        "must be a file of certificates in PEM form",
        "pulumi config set letta:telemetryCaBundle /etc/ssl/company-ca.pem --stack dev",
    ),
    "telemetry's CA bundle that is empty": (
        {"letta:telemetryCaBundle": os.devnull},
        "letta:telemetryCaBundle",
        "must be a file of certificates in PEM form",
        "pulumi config set letta:telemetryCaBundle /etc/ssl/company-ca.pem --stack dev",
    ),
    "an empty string": (
        {"letta:openaiBaseUrl": ""},
        "letta:openaiBaseUrl",
        "is empty: set a value, or remove it",
        "pulumi config rm letta:openaiBaseUrl --stack dev",
    ),
    "a key without value": (
        {"letta:apiPort": None},
        "letta:apiPort",
        "is empty: set a value, or remove it",
        "pulumi config rm letta:apiPort --stack dev",
    ),
    "an empty secret": (
        {"letta:openaiApiKey": "  "},
        "letta:openaiApiKey",
        "is empty: set a value, or remove it",
        "pulumi config rm letta:openaiApiKey --stack dev",
    ),
    "an empty environment variable": (
        {"letta:serverEnvironment": '{"FOO": ""}'},
        "letta:serverEnvironment.FOO",
        "is empty: set a value, or remove it",
        "pulumi config rm --path letta:serverEnvironment.FOO --stack dev",
    ),
    "a typo in the namespace": (
        {"leta:apiPort": "8283"},
        "leta:apiPort",
        "is in a namespace that nothing reads: did you mean letta:apiPort?",
        "pulumi config rm leta:apiPort --stack dev",
    ),
    "typos in namespace and key": (
        {"lettta:apiPrt": "8283"},
        "lettta:apiPrt",
        "is in a namespace that nothing reads: did you mean letta:apiPort?",
        "pulumi config rm lettta:apiPrt --stack dev",
    ),
    "settings of a provider that nothing uses": (
        {"aws:region": "eu-west-1"},
        "aws:region",
        "is in a namespace that nothing reads: settings start with letta:",
        "pulumi config rm aws:region --stack dev",
    ),
    "an unsupported server version": (
        {"letta:lettaVersion": "0.15.0"},
        "letta:lettaVersion",
        "must be a supported server version: 0.16.8",
        "pulumi config set letta:lettaVersion 0.16.8 --stack dev",
    ),
    "more servers than the database has connections for": (
        {"letta:lettaReplicas": "3"},
        "letta:postgresMaxConnections",
        "they need 130 = 2 x lettaReplicas x (lettaPoolSize + lettaPoolMaxOverflow) + 10",
        "pulumi config set letta:postgresMaxConnections 130 --stack dev",
    ),
    "more connections than a database can have": (
        {"letta:lettaReplicas": "16", "letta:lettaPoolSize": "100", "letta:postgresMaxConnections": "1000"},
        "letta:lettaPoolSize",
        "leaves the servers short of database connections: they need 3530",
        "pulumi config set letta:lettaPoolSize 5 --stack dev",
    ),
    "a pinned image by tag": (
        {
            "letta:pinnedImages": {
                **{name: f"registry.example/{name}@{DIGEST}" for name in ALL_IMAGES},
                "letta": "registry.example/letta:0.16.8",
            }
        },
        "letta:pinnedImages.letta",
        "must end in @sha256: and 64 hexadecimal digits: a tag can be moved to another image",
        "pulumi config set --path letta:pinnedImages.letta registry.example/letta@sha256:DIGEST --stack dev",
    ),
    "pinned images but one": (
        {"letta:pinnedImages": {name: f"registry.example/{name}@{DIGEST}" for name in ALL_IMAGES[:-1]}},
        "letta:pinnedImages.collector",
        "is missing: when letta:pinnedImages is set nothing is built, so it must name every image",
        "pulumi config set --path letta:pinnedImages.collector registry.example/collector@sha256:DIGEST --stack",
    ),
    "a pinned image that nothing runs": (
        {"letta:pinnedImages": {name: f"registry.example/{name}@{DIGEST}" for name in (*ALL_IMAGES, "mysql")}},
        "letta:pinnedImages.mysql",
        "is not an image of this platform",
        "pulumi config rm --path letta:pinnedImages.mysql --stack dev",
    ),
    "a base image that is no reference": (
        {"letta:baseImage": "Debian Trixie"},
        "letta:baseImage",
        "must be an image reference such as registry.example/debian:trixie-slim",
        "pulumi config set letta:baseImage debian:trixie-slim --stack dev",
    ),
    "a network that is too small": (
        {"letta:networkSubnet": "10.87.0.0/28"},
        "letta:networkSubnet",
        "must be a private IPv4 network of at least 256 addresses, written like 10.87.0.0/22",
        "pulumi config set letta:networkSubnet 10.87.0.0/22 --stack dev",
    ),
    "a network with host bits": (
        {"letta:networkSubnet": "10.87.0.1/22"},
        "letta:networkSubnet",
        "(no bits set after the prefix)",
        "pulumi config set letta:networkSubnet 10.87.0.0/22 --stack dev",
    ),
    "a network of the internet": (
        {"letta:networkSubnet": "8.8.0.0/16"},
        "letta:networkSubnet",
        "must be a private IPv4 network",
        "pulumi config set letta:networkSubnet 10.87.0.0/22 --stack dev",
    ),
    "an address instead of a network": (
        {"letta:networkSubnet": "10.87.0.0"},
        "letta:networkSubnet",
        "must be a private IPv4 network",
        "pulumi config set letta:networkSubnet 10.87.0.0/22 --stack dev",
    ),
    "a variable that the platform sets": (
        {"letta:serverEnvironment": {"LETTA_PG_URI": "postgresql://elsewhere"}},
        "letta:serverEnvironment.LETTA_PG_URI",
        "is set by the platform and cannot be set here",
        "pulumi config rm --path letta:serverEnvironment.LETTA_PG_URI --stack dev",
    ),
    "a secret variable that the platform sets": (
        {"letta:serverSecrets": {"LETTA_REDIS_HOST": "elsewhere"}},
        "letta:serverSecrets.LETTA_REDIS_HOST",
        "is set by the platform and cannot be set here",
        "pulumi config rm --path letta:serverSecrets.LETTA_REDIS_HOST --stack dev",
    ),
    "a variable that has a setting": (
        {"letta:serverEnvironment": {"OPENAI_BASE_URL": "https://elsewhere.example"}},
        "letta:serverEnvironment.OPENAI_BASE_URL",
        "has a setting of its own: use letta:openaiBaseUrl",
        "pulumi config rm --path letta:serverEnvironment.OPENAI_BASE_URL --stack dev",
    ),
    "a secret variable that has a setting": (
        {"letta:serverSecrets": {"LETTA_SERVER_PASSWORD": PASSWORD}},
        "letta:serverSecrets.LETTA_SERVER_PASSWORD",
        "has a setting of its own: use letta:serverPassword",
        "pulumi config rm --path letta:serverSecrets.LETTA_SERVER_PASSWORD --stack dev",
    ),
    "a secret among plain variables": (
        {"letta:serverEnvironment": {"TAVILY_API_KEY": PASSWORD}},
        "letta:serverEnvironment.TAVILY_API_KEY",
        "remove it, then store it encrypted as letta:serverSecrets.TAVILY_API_KEY",
        "pulumi config rm --path letta:serverEnvironment.TAVILY_API_KEY --stack dev",
    ),
    "a URL with password among plain variables": (
        {"letta:serverEnvironment": {"MY_PROXY": "http://me:hunter22@proxy.example"}},
        "letta:serverEnvironment.MY_PROXY",
        "looks like a secret",
        "pulumi config rm --path letta:serverEnvironment.MY_PROXY --stack dev",
    ),
    "a variable both plain and secret": (
        {"letta:serverEnvironment": {"MY_FLAG": "on"}, "letta:serverSecrets": {"MY_FLAG": "off"}},
        "letta:serverEnvironment.MY_FLAG",
        "is also in letta:serverSecrets: keep only one of the two",
        "pulumi config rm --path letta:serverEnvironment.MY_FLAG --stack dev",
    ),
    "a variable of two lines": (
        {"letta:serverEnvironment": {"MY_TEXT": "a\nb"}},
        "letta:serverEnvironment.MY_TEXT",
        "must not contain control characters or line breaks",
        "pulumi config set --path letta:serverEnvironment.MY_TEXT VALUE --stack dev",
    ),
    "a name that is no variable": (
        {"letta:serverEnvironment": {"MY-TEXT": "a"}},
        "letta:serverEnvironment.MY-TEXT",
        "is not a name for an environment variable",
        "pulumi config rm --path letta:serverEnvironment.MY-TEXT --stack dev",
    ),
    "an environment name with capitals": (
        {"letta:deploymentEnvironment": "Prod"},
        "letta:deploymentEnvironment",
        "must be at most 32 lower-case letters, digits and -, starting with a letter",
        "pulumi config set letta:deploymentEnvironment dev --stack dev",
    ),
    "a ClickHouse database that is no name": (
        {"letta:clickhouseDatabase": "otel; DROP"},
        "letta:clickhouseDatabase",
        "must be a name of at most 63 letters, digits and _, not starting with a digit",
        "pulumi config set letta:clickhouseDatabase otel --stack dev",
    ),
    "an Azure version that is no date": (
        {
            "letta:azureApiVersion": "v1",
            "letta:azureApiKey": PASSWORD,
            "letta:azureBaseUrl": "https://name.openai.azure.com",
        },
        "letta:azureApiVersion",
        "must be a date such as 2024-10-21, optionally followed by -preview",
        "pulumi config set letta:azureApiVersion 2024-10-21 --stack dev",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_reported_with_key_rule_and_command(case: str) -> None:
    raw, key, rule, fix = MISTAKES[case]
    secret_keys = [written for written in raw if written.removeprefix("letta:") in SECRET_KEYS]
    with pytest.raises(SettingsError) as caught:
        load(raw, secret_keys, stack="dev")
    (problem,) = caught.value.problems
    assert problem.key == key
    assert rule in problem.rule
    assert problem.fix.startswith(fix)
    text = str(caught.value)
    assert f"{problem.key} {problem.rule}" in text
    assert problem.fix in text
    assert "stack dev" in text
