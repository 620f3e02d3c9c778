"""Telemetry of the whole program under mocks: what each profile puts where."""

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
from testbed.certificates import Authority
from tests.unit.components.test_program import CONTAINER, VOLUME
from tests.unit.conftest import Program, Registered

pytestmark = pytest.mark.unit

CLICKHOUSE = {
    "letta:clickhouseEndpoint": "https://clickhouse.example",
    "letta:clickhouseUsername": "writer",
    "letta:clickhousePassword": "click$house",
}
DATADOG = {"letta:datadogSite": "datadoghq.eu", "letta:datadogApiKey": "datadog-key"}
SIGNOZ = {"letta:signozEndpoint": "https://signoz.example:443", "letta:signozIngestionKey": "signoz-key"}
SECRET = ("letta:clickhousePassword", "letta:datadogApiKey", "letta:signozIngestionKey")


def by_name(seen: list[Registered], typ: str = CONTAINER) -> dict[str, Registered]:
    return {one.name: one for one in seen if one.typ == typ}


def files(seen: list[Registered], name: str) -> dict[str, str]:
    """Give the files of a bundle by their paths."""
    return {one["file"]: one["content"] for one in by_name(seen)[name].value("uploads")}


def configuration(seen: list[Registered], collector: str) -> dict[str, Any]:
    text = files(seen, f"{collector}-validation-config")["/etc/otelcol/config.yaml"]
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def mounted(container: Registered) -> dict[str, str]:
    """Give path → volume."""
    return {one["containerPath"]: one["volumeName"] for one in container.value("volumes")}


def environment(container: Registered) -> dict[str, str]:
    return dict(one.split("=", 1) for one in container.value("envs"))


def test_a_stack_without_a_destination_writes_files_and_keeps_no_queue(platform: Program) -> None:
    seen = platform("dev")

    assert "file/traces" in configuration(seen, "letta-dev-collector")["exporters"]
    assert mounted(by_name(seen)["letta-dev-collector"])["/var/lib/otelcol"] == "letta-dev-traces"
    volumes = by_name(seen, VOLUME)
    assert "letta-dev-collector-queue" not in volumes
    assert "letta-dev-logs" not in volumes


def test_every_signal_says_which_stack_and_environment_it_is_from(platform: Program) -> None:
    attributes = configuration(platform("dev"), "letta-dev-collector")["processors"]["resource"]["attributes"]

    assert {one["key"]: one["value"] for one in attributes} == {
        "deployment.environment": "dev",
        "device.id": "00000000-0000-4000-8000-000000000000",
    }


@pytest.mark.parametrize("profile", otel.PROFILES)
def test_a_profile_that_is_named_is_the_one_that_runs(platform: Program, profile: str) -> None:
    seen = platform("dev", SECRET, **{"letta:telemetryProfile": profile}, **CLICKHOUSE, **DATADOG, **SIGNOZ)

    exporters = configuration(seen, "letta-dev-collector")["exporters"]
    expected = otel.compose(
        otel.PROFILES[profile],
        destinations=otel.Destinations(
            clickhouse=otel.ClickHouse(endpoint="https://clickhouse.example", username="writer"),
            datadog=otel.Datadog(site="datadoghq.eu"),
            signoz=otel.SigNoz(endpoint="https://signoz.example:443"),
        ),
    )
    assert exporters.keys() == expected["exporters"].keys()


def test_with_clickhouse_queues_and_logs_have_volumes_and_nothing_is_written_to_files(platform: Program) -> None:
    seen = platform("dev", SECRET, **{"letta:telemetryVariant": "production"}, **CLICKHOUSE)

    collector = mounted(by_name(seen)["letta-dev-collector"])
    assert collector["/var/lib/otelcol/queue"] == "letta-dev-collector-queue"
    assert collector["/var/log/letta"] == "letta-dev-logs"
    assert "/var/lib/otelcol" not in collector
    server = by_name(seen)["letta-dev-server"]
    assert mounted(server)["/var/log/letta"] == "letta-dev-logs"
    assert environment(server)["LETTA_LOG_FOLDER"] == "/var/log/letta/letta-dev-server"
    include = configuration(seen, "letta-dev-collector")["receivers"]["filelog/letta"]["include"]
    assert include == ["/var/log/letta/letta-dev-server/*/logs/Letta.log*"]


def test_a_collectors_secrets_are_files_and_nothing_else(platform: Program) -> None:
    seen = platform("dev", SECRET, **{"letta:telemetryVariant": "production"}, **CLICKHOUSE, **DATADOG)

    assert files(seen, "letta-dev-collector-validation-secrets") == {
        "/run/secrets/otelcol/clickhouse-password": "click$$house",
        "/run/secrets/otelcol/datadog-api-key": "datadog-key",
    }
    assert by_name(seen)["letta-dev-collector-validation-secrets"].is_secret("uploads")
    for one in seen:
        if one.name.endswith(("-secrets", "-files")):
            continue
        said = json.dumps(one.inputs)
        assert "click$" not in said, one.name
        assert "datadog-key" not in said, one.name


def test_the_server_reads_traces_back_with_the_password_as_it_is(platform: Program) -> None:
    seen = platform("dev", SECRET, **CLICKHOUSE)

    read = environment(by_name(seen)["letta-dev-server"])
    assert read["CLICKHOUSE_ENDPOINT"] == "https://clickhouse.example:8443"
    assert read["CLICKHOUSE_USERNAME"] == "writer"
    assert files(seen, "letta-dev-server-secrets")["/run/secrets/CLICKHOUSE_PASSWORD"] == "click$house"


def test_the_schema_is_made_by_a_job_with_the_retention_that_is_set(platform: Program) -> None:
    seen = platform("dev", SECRET, **{"letta:telemetryRetentionDays": "7"}, **CLICKHOUSE)

    given = files(seen, "letta-dev-telemetry-schema-files")
    target = otel.ClickHouse(endpoint="https://clickhouse.example", username="writer")
    assert json.loads(given["/run/schema/statements.json"]) == list(
        otel.clickhouse.statements(target, retention_days=7)
    )
    assert given["/run/schema/password"] == "click$house"
    job = by_name(seen)["letta-dev-telemetry-schema"]
    assert job.value("restart") == "no"
    assert environment(job)["CLICKHOUSE_ENDPOINT"] == "https://clickhouse.example:8443"


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_two_collectors_share_the_servers_logs_and_not_their_queues(platform: Program, stack: str) -> None:
    seen = platform(
        stack, SECRET, **{"letta:lettaReplicas": "2", "letta:postgresMaxConnections": "200"}, **CLICKHOUSE
    )

    first, second = f"letta-{stack}-collector", f"letta-{stack}-collector-1"
    folders = [configuration(seen, one)["receivers"]["filelog/letta"]["include"] for one in (first, second)]
    assert folders == [
        [f"/var/log/letta/letta-{stack}-server/*/logs/Letta.log*"],
        [f"/var/log/letta/letta-{stack}-server-1/*/logs/Letta.log*"],
    ]
    queues = [mounted(by_name(seen)[one])["/var/lib/otelcol/queue"] for one in (first, second)]
    assert queues == [f"{first}-queue", f"{second}-queue"]
    assert by_name(seen)[first].value("ports")
    assert not by_name(seen)[second].value("ports")


def test_the_second_collector_is_replaced_after_the_first_was_watched(platform: Program) -> None:
    seen = platform("prod", SECRET, **{"letta:collectorWatchSeconds": "90"}, **CLICKHOUSE)

    watch = by_name(seen)["letta-prod-collector-watch"]
    assert watch.value("command")[:2] == ["soak", "90"]
    assert watch.value("command")[2].startswith("http://letta-prod-collector")
    assert watch.value("waitTimeout") > 90
    assert "letta-prod-collector-1-watch" not in by_name(seen)


def test_a_watch_of_no_time_is_none(platform: Program) -> None:
    seen = platform("prod", SECRET, **{"letta:collectorWatchSeconds": "0"}, **CLICKHOUSE)

    assert "letta-prod-collector-1" in by_name(seen)
    assert "letta-prod-collector-watch" not in by_name(seen)


def test_a_profile_that_writes_files_has_one_collector(platform: Program) -> None:
    seen = platform("prod")

    assert "letta-prod-collector" in by_name(seen)
    assert "letta-prod-collector-1" not in by_name(seen)


@pytest.mark.parametrize("version", otel.VERSIONS)
def test_the_collector_is_built_in_the_version_that_is_set(platform: Program, version: str) -> None:
    seen = platform("dev", **{"letta:collectorVersion": version})

    images = by_name(seen, "docker:index/remoteImage:RemoteImage")
    assert images["letta-dev-image-collector"].value("build")["buildArgs"]["COLLECTOR_VERSION"] == version


def test_the_two_versions_are_two_images(platform: Program) -> None:
    def image(version: str) -> str:
        seen = platform("dev", **{"letta:collectorVersion": version})
        name: str = by_name(seen, "docker:index/remoteImage:RemoteImage")["letta-dev-image-collector"].value(
            "name"
        )
        return name

    first, second = map(image, otel.VERSIONS)
    assert first != second


def published(seen: list[Registered], collector: str = "letta-dev-collector") -> dict[int, int]:
    """Give external → internal ports."""
    return {one["external"]: one["internal"] for one in by_name(seen)[collector].value("ports")}


def test_on_this_machine_alone_nobody_is_asked_for_a_token(platform: Program) -> None:
    seen = platform("dev")

    assert "otlp/outside" not in configuration(seen, "letta-dev-collector")["receivers"]
    assert published(seen)[4317] == 4317


@pytest.mark.parametrize(
    ("settings", "token"),
    [
        ({"letta:bindAddress": "0.0.0.0"}, "generated-letta-dev-telemetry-otlp-token"),  # noqa: S104
        ({"letta:otlpToken": "my-token"}, "my-token"),
    ],
    ids=["published beyond this machine", "a token that is set"],
)
def test_clients_from_outside_have_receivers_that_ask_for_the_token(
    platform: Program, settings: dict[str, str], token: str
) -> None:
    seen = platform("dev", ("letta:otlpToken",), **settings)

    config = configuration(seen, "letta-dev-collector")
    for protocol in config["receivers"]["otlp/outside"]["protocols"].values():
        assert protocol["auth"] == {"authenticator": "bearertokenauth/outside"}
    assert config["service"]["pipelines"]["traces"]["receivers"] == ["otlp", "otlp/outside"]
    assert (published(seen)[4317], published(seen)[4318]) == (4327, 4328)
    assert files(seen, "letta-dev-collector-validation-secrets")["/run/secrets/otelcol/otlp-token"] == token


def test_without_required_tls_servers_speak_plainly_on_the_internal_network(platform: Program) -> None:
    seen = platform("dev")

    server = environment(by_name(seen)["letta-dev-server"])
    assert server["LETTA_OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4317"
    assert "letta-dev-telemetry-certificates" not in by_name(seen)


def test_the_certificate_is_for_the_names_by_which_others_reach_the_machine(platform: Program) -> None:
    seen = platform(
        "dev",
        **{
            "letta:requireTls": "true",
            "letta:bindAddress": "0.0.0.0",  # noqa: S104
            "letta:otlpHostName": "letta.example.com",
        },
    )

    names = by_name(seen)["letta-dev-telemetry-certificates"].value("command")[2:]
    assert names == ["collector", "localhost", "127.0.0.1", "letta.example.com"]


def test_with_required_tls_servers_trust_an_authority_of_their_own(platform: Program) -> None:
    seen = platform("dev", **{"letta:requireTls": "true"})

    server = by_name(seen)["letta-dev-server"]
    assert environment(server)["LETTA_OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://collector:4317"
    assert environment(server)["OTEL_EXPORTER_OTLP_CERTIFICATE"] == "/var/lib/certificates/ca.pem"
    volume = mounted(server)["/var/lib/certificates"]
    assert mounted(by_name(seen)["letta-dev-collector"])["/var/lib/certificates"] == volume
    job = by_name(seen)["letta-dev-telemetry-certificates"]
    assert job.value("command") == [
        "make-certificates", "/var/lib/certificates", "collector", "localhost", "127.0.0.1",
    ]  # fmt: skip
    assert all(
        one["readOnly"] for one in server.value("volumes") if one["containerPath"] == "/var/lib/certificates"
    )
    for protocol in configuration(seen, "letta-dev-collector")["receivers"]["otlp"]["protocols"].values():
        assert protocol["tls"]["cert_file"] == "/var/lib/certificates/server.pem"


def test_all_who_speak_with_clickhouse_trust_the_authorities_that_are_given(
    platform: Program, tmp_path: Path
) -> None:
    bundle = Authority(tmp_path).certificate
    given = {"letta:telemetryVariant": "production", "letta:telemetryCaBundle": str(bundle)}

    seen = platform("dev", SECRET, **given, **CLICKHOUSE)

    containers = by_name(seen)
    for name in ("letta-dev-collector", "letta-dev-telemetry-schema"):
        assert environment(containers[name])["SSL_CERT_DIR"] == "/run/authorities"
        holder = mounted(containers[name])["/run/authorities"]
        assert files(seen, holder) == {"/run/authorities/ca.pem": bundle.read_text()}
    server = containers["letta-dev-server"]
    assert environment(server)["LETTA_AUTHORITIES"] == "/run/authorities/ca.pem"
    assert files(seen, mounted(server)["/run/authorities"]) == {"/run/authorities/ca.pem": bundle.read_text()}


def test_without_authorities_everybody_trusts_the_usual_ones(platform: Program) -> None:
    seen = platform("dev", SECRET, **{"letta:telemetryVariant": "production"}, **CLICKHOUSE)

    for name in ("letta-dev-collector", "letta-dev-telemetry-schema", "letta-dev-server"):
        container = by_name(seen)[name]
        assert "/run/authorities" not in mounted(container)
        assert not {"SSL_CERT_DIR", "LETTA_AUTHORITIES"} & environment(container).keys()


def test_certificates_are_made_anew_twice_a_year() -> None:
    days = [date(2026, 1, 1), date(2026, 6, 30), date(2026, 7, 1), date(2026, 12, 31), date(2027, 1, 1)]

    assert [period(day) for day in days] == ["2026-1", "2026-1", "2026-2", "2026-2", "2027-1"]
