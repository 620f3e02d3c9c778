"""Telemetry of the complete program on a runtime in memory: what each profile puts where."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

import otel
import otel.clickhouse
from components.otlp_certificates import period
from runtime import Mount, Rollout, ServiceSpec
from testbed.certificates import Authority
from testbed.memory_runtime import MemoryRuntime, Thing
from tests.unit.conftest import Described

pytestmark = pytest.mark.unit

CLICKHOUSE = {
    "letta:clickhouseEndpoint": "https://clickhouse.example",
    "letta:clickhouseUsername": "writer",
    "letta:clickhousePassword": "click$house",
}
DATADOG = {"letta:datadogSite": "datadoghq.eu", "letta:datadogApiKey": "datadog-key"}
SIGNOZ = {"letta:signozEndpoint": "https://signoz.example:443", "letta:signozIngestionKey": "signoz-key"}
SECRET = ("letta:clickhousePassword", "letta:datadogApiKey", "letta:signozIngestionKey")


def configuration(runtime: MemoryRuntime, collector: str) -> dict[str, Any]:
    text = runtime.contents(f"{collector}-validation-config")["/etc/otelcol/config.yaml"]
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def mounted(spec: ServiceSpec) -> dict[str, str]:
    """Return path → name of what is mounted there: volumes and bundles of files."""
    volumes = {mount.path: str(mount.volume.name) for mount in spec.mounts if isinstance(mount, Mount)}
    return {**volumes, **{files.path: str(files.name) for files in spec.files}}


def test_a_stack_without_a_destination_writes_files_and_keeps_no_queue(described: Described) -> None:
    runtime = described("dev")

    assert "file/traces" in configuration(runtime, "letta-dev-collector")["exporters"]
    assert mounted(runtime.services["letta-dev-collector"].spec)["/var/lib/otelcol"] == "letta-dev-traces"
    for service in runtime.services.values():
        assert not {"letta-dev-collector-queue", "letta-dev-logs"} & set(mounted(service.spec).values())


def test_every_signal_says_which_stack_and_environment_it_is_from(described: Described) -> None:
    attributes = configuration(described("dev"), "letta-dev-collector")["processors"]["resource"]["attributes"]

    assert {one["key"]: one["value"] for one in attributes} == {
        "deployment.environment": "dev",
        "device.id": "00000000-0000-4000-8000-000000000000",
    }


@pytest.mark.parametrize("profile", otel.PROFILES)
def test_a_profile_that_is_named_is_the_one_that_runs(described: Described, profile: str) -> None:
    runtime = described("dev", SECRET, **{"letta:telemetryProfile": profile}, **CLICKHOUSE, **DATADOG, **SIGNOZ)

    exporters = configuration(runtime, "letta-dev-collector")["exporters"]
    expected = otel.compose(
        otel.PROFILES[profile],
        destinations=otel.Destinations(
            clickhouse=otel.ClickHouse(endpoint="https://clickhouse.example", username="writer"),
            datadog=otel.Datadog(site="datadoghq.eu"),
            signoz=otel.SigNoz(endpoint="https://signoz.example:443"),
        ),
    )
    assert exporters.keys() == expected["exporters"].keys()


def test_with_clickhouse_queues_and_logs_have_volumes_and_nothing_is_written_to_files(
    described: Described,
) -> None:
    runtime = described("dev", SECRET, **{"letta:telemetryVariant": "production"}, **CLICKHOUSE)

    collector = mounted(runtime.services["letta-dev-collector"].spec)
    assert collector["/var/lib/otelcol/queue"] == "letta-dev-collector-queue"
    assert collector["/var/log/letta"] == "letta-dev-logs"
    assert "/var/lib/otelcol" not in collector
    server = runtime.services["letta-dev-server"].spec
    assert mounted(server)["/var/log/letta"] == "letta-dev-logs"
    assert server.environment["LETTA_LOG_FOLDER"] == "/var/log/letta/letta-dev-server"
    include = configuration(runtime, "letta-dev-collector")["receivers"]["filelog/letta"]["include"]
    assert include == ["/var/log/letta/letta-dev-server/*/logs/Letta.log*"]


def test_a_collectors_secrets_are_files_and_nothing_else(described: Described) -> None:
    runtime = described("dev", SECRET, **{"letta:telemetryVariant": "production"}, **CLICKHOUSE, **DATADOG)

    assert runtime.contents("letta-dev-collector-validation-secrets") == {
        "/run/secrets/otelcol/clickhouse-password": "click$$house",
        "/run/secrets/otelcol/datadog-api-key": "datadog-key",
    }
    for name, one in runtime.services.items():
        assert "click$" not in str(one.spec), name
        assert "datadog-key" not in str(one.spec), name
    carriers = {name for name in runtime.bundles if "click$" in str(runtime.contents(name))}
    assert carriers == {
        "letta-dev-collector-validation-secrets", "letta-dev-server-secrets", "letta-dev-telemetry-schema-files",
    }  # fmt: skip


def test_the_server_reads_traces_back_with_the_password_as_it_is(described: Described) -> None:
    runtime = described("dev", SECRET, **CLICKHOUSE)

    read = runtime.services["letta-dev-server"].spec.environment
    assert read["CLICKHOUSE_ENDPOINT"] == "https://clickhouse.example:8443"
    assert read["CLICKHOUSE_USERNAME"] == "writer"
    assert runtime.contents("letta-dev-server-secrets")["/run/secrets/CLICKHOUSE_PASSWORD"] == "click$house"


def test_the_schema_is_made_by_a_job_with_the_retention_that_is_set(described: Described) -> None:
    runtime = described("dev", SECRET, **{"letta:telemetryRetentionDays": "7"}, **CLICKHOUSE)

    given = runtime.contents("letta-dev-telemetry-schema-files")
    target = otel.ClickHouse(endpoint="https://clickhouse.example", username="writer")
    assert json.loads(given["/run/schema/statements.json"]) == list(
        otel.clickhouse.statements(target, retention_days=7)
    )
    assert given["/run/schema/password"] == "click$house"
    job = runtime.services["letta-dev-telemetry-schema"].spec
    assert job.rollout is Rollout.JOB
    assert job.environment["CLICKHOUSE_ENDPOINT"] == "https://clickhouse.example:8443"


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_two_collectors_share_the_servers_logs_and_not_their_queues(described: Described, stack: str) -> None:
    runtime = described(
        stack, SECRET, **{"letta:lettaReplicas": "2", "letta:postgresMaxConnections": "200"}, **CLICKHOUSE
    )

    first, second = f"letta-{stack}-collector", f"letta-{stack}-collector-1"
    folders = [configuration(runtime, one)["receivers"]["filelog/letta"]["include"] for one in (first, second)]
    assert folders == [
        [f"/var/log/letta/letta-{stack}-server/*/logs/Letta.log*"],
        [f"/var/log/letta/letta-{stack}-server-1/*/logs/Letta.log*"],
    ]
    queues = [mounted(runtime.services[one].spec)["/var/lib/otelcol/queue"] for one in (first, second)]
    assert queues == [f"{first}-queue", f"{second}-queue"]
    assert runtime.services[first].spec.ports
    assert not runtime.services[second].spec.ports


def test_the_second_collector_is_replaced_after_the_soak_of_the_first(described: Described) -> None:
    runtime = described("prod", SECRET, **{"letta:collectorWatchSeconds": "90"}, **CLICKHOUSE)

    soak = runtime.services["letta-prod-collector-watch"]
    assert soak.spec.command[1:] == ("90", "http://letta-prod-collector:8888/metrics")
    assert soak.spec.deadline_seconds > 90
    assert soak.depends_on == soak.replace_with == ("letta-prod-collector",)
    second = runtime.services["letta-prod-collector-1"]
    assert {"letta-prod-collector", "letta-prod-collector-watch"} <= set(second.depends_on)
    assert "letta-prod-collector-1-watch" not in runtime.services


def test_without_soak_time_there_is_no_soak(described: Described) -> None:
    runtime = described("prod", SECRET, **{"letta:collectorWatchSeconds": "0"}, **CLICKHOUSE)

    assert "letta-prod-collector-1" in runtime.services
    assert "letta-prod-collector-watch" not in runtime.services


def test_a_profile_that_writes_files_has_one_collector(described: Described) -> None:
    runtime = described("prod")

    assert "letta-prod-collector" in runtime.services
    assert "letta-prod-collector-1" not in runtime.services


def published(runtime: MemoryRuntime) -> dict[int, int]:
    """Return external → internal ports of the first collector."""
    return {port.external: port.internal for port in runtime.services["letta-dev-collector"].spec.ports}


def test_on_this_machine_alone_no_client_needs_a_token(described: Described) -> None:
    runtime = described("dev")

    assert "otlp/outside" not in configuration(runtime, "letta-dev-collector")["receivers"]
    assert published(runtime)[4317] == 4317


@pytest.mark.parametrize(
    ("settings", "token"),
    [
        ({"letta:bindAddress": "0.0.0.0"}, "generated-letta-dev-telemetry-otlp-token"),  # noqa: S104
        ({"letta:otlpToken": "my-token"}, "my-token"),
    ],
    ids=["published beyond this machine", "a token that is set"],
)
def test_clients_from_outside_have_receivers_that_require_the_token(
    described: Described, settings: dict[str, str], token: str
) -> None:
    runtime = described("dev", ("letta:otlpToken",), **settings)

    config = configuration(runtime, "letta-dev-collector")
    for protocol in config["receivers"]["otlp/outside"]["protocols"].values():
        assert protocol["auth"] == {"authenticator": "bearertokenauth/outside"}
    assert config["service"]["pipelines"]["traces"]["receivers"] == ["otlp", "otlp/outside"]
    assert (published(runtime)[4317], published(runtime)[4318]) == (4327, 4328)
    assert runtime.contents("letta-dev-collector-validation-secrets")["/run/secrets/otelcol/otlp-token"] == token


def test_without_required_tls_servers_send_in_clear_on_the_internal_network(described: Described) -> None:
    runtime = described("dev")

    server = runtime.services["letta-dev-server"].spec.environment
    assert server["LETTA_OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4317"
    assert "letta-dev-telemetry-certificates" not in runtime.services


def test_the_certificate_is_for_the_names_by_which_others_reach_the_machine(described: Described) -> None:
    runtime = described(
        "dev",
        **{
            "letta:requireTls": "true",
            "letta:bindAddress": "0.0.0.0",  # noqa: S104
            "letta:otlpHostName": "letta.example.com",
        },
    )

    names = runtime.services["letta-dev-telemetry-certificates"].spec.command[2:]
    assert names == ("collector", "localhost", "127.0.0.1", "letta.example.com")


def test_with_required_tls_servers_trust_an_authority_of_their_own(described: Described) -> None:
    runtime = described("dev", **{"letta:requireTls": "true"})

    server = runtime.services["letta-dev-server"].spec
    assert server.environment["LETTA_OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://collector:4317"
    assert server.environment["OTEL_EXPORTER_OTLP_CERTIFICATE"] == "/var/lib/certificates/ca.pem"
    volume = mounted(server)["/var/lib/certificates"]
    assert mounted(runtime.services["letta-dev-collector"].spec)["/var/lib/certificates"] == volume
    job = runtime.services["letta-dev-telemetry-certificates"].spec
    assert job.command == (
        "make-certificates", "/var/lib/certificates", "collector", "localhost", "127.0.0.1",
    )  # fmt: skip
    (mount,) = [one for one in server.mounts if one.path == "/var/lib/certificates"]
    assert isinstance(mount, Mount)
    assert mount.read_only
    # The volume is empty until the job has ended, so whoever mounts it waits for the job.
    assert isinstance(mount.volume.resource, Thing)
    assert mount.volume.resource.kind == "Service"
    for protocol in configuration(runtime, "letta-dev-collector")["receivers"]["otlp"]["protocols"].values():
        assert protocol["tls"]["cert_file"] == "/var/lib/certificates/server.pem"


def test_all_clients_of_clickhouse_trust_the_ca_bundle_that_is_set(described: Described, tmp_path: Path) -> None:
    bundle = Authority(tmp_path).certificate
    given = {"letta:telemetryVariant": "production", "letta:telemetryCaBundle": str(bundle)}

    runtime = described("dev", SECRET, **given, **CLICKHOUSE)

    services = {name: one.spec for name, one in runtime.services.items()}
    for name in ("letta-dev-collector", "letta-dev-telemetry-schema"):
        assert services[name].environment["SSL_CERT_DIR"] == "/run/authorities"
        holder = mounted(services[name])["/run/authorities"]
        assert runtime.contents(holder) == {"/run/authorities/ca.pem": bundle.read_text()}
    server = services["letta-dev-server"]
    assert server.environment["LETTA_AUTHORITIES"] == "/run/authorities/ca.pem"
    assert runtime.contents(mounted(server)["/run/authorities"]) == {"/run/authorities/ca.pem": bundle.read_text()}


def test_without_a_ca_bundle_the_images_own_authorities_are_trusted(described: Described) -> None:
    runtime = described("dev", SECRET, **{"letta:telemetryVariant": "production"}, **CLICKHOUSE)

    for name in ("letta-dev-collector", "letta-dev-telemetry-schema", "letta-dev-server"):
        container = runtime.services[name].spec
        assert "/run/authorities" not in mounted(container)
        assert not {"SSL_CERT_DIR", "LETTA_AUTHORITIES"} & container.environment.keys()


def test_certificates_are_renewed_twice_a_year() -> None:
    days = [date(2026, 1, 1), date(2026, 6, 30), date(2026, 7, 1), date(2026, 12, 31), date(2027, 1, 1)]

    assert [period(day) for day in days] == ["2026-1", "2026-1", "2026-2", "2026-2", "2027-1"]
