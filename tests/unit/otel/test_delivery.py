"""Where signals go, how they wait, and what is taken out of them: judged without a collector."""

from __future__ import annotations

from typing import Any

import pytest

import otel
from otel.example import DESTINATIONS

pytestmark = pytest.mark.unit

NETWORKED = [name for name, profile in otel.PROFILES.items() if "file_storage" in profile.extensions]
DATADOG = otel.Destinations(clickhouse=DESTINATIONS.clickhouse, datadog=DESTINATIONS.datadog)


def composed(name: str, **arguments: Any) -> dict[str, Any]:
    return otel.compose(
        otel.PROFILES[name], **{"destinations": DESTINATIONS, "environment": "staging", **arguments}
    )


def exporters_with_queues(config: dict[str, Any]) -> dict[str, Any]:
    return {name: exporter for name, exporter in config["exporters"].items() if not name.startswith("file/")}


def statements(config: dict[str, Any]) -> str:
    return str(config["processors"]["transform/redaction"])


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("name", NETWORKED)
def test_what_goes_over_a_network_waits_on_disk_and_is_never_given_up(name: str, version: str) -> None:
    config = composed(name, version=version)

    assert config["extensions"]["file_storage"]["fsync"] is True
    queued = exporters_with_queues(config)
    assert queued
    for exporter in queued.values():
        assert exporter["sending_queue"]["storage"] == "file_storage"
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


@pytest.mark.parametrize("name", NETWORKED)
def test_nothing_is_gathered_in_memory_before_the_queue_where_the_queue_can_do_it(name: str) -> None:
    config = composed(name)

    assert "batch" not in config["processors"]
    for exporter in exporters_with_queues(config).values():
        assert exporter["sending_queue"]["sizer"] == "bytes"
        assert exporter["sending_queue"]["batch"]["min_size"] <= exporter["sending_queue"]["batch"]["max_size"]


@pytest.mark.parametrize("name", NETWORKED)
def test_an_old_collector_batches_last_and_counts_requests(name: str) -> None:
    config = composed(name, version="0.96.0")

    for pipeline in config["service"]["pipelines"].values():
        assert pipeline["processors"][-1].split("/")[0] == "batch"
    for exporter in exporters_with_queues(config).values():
        assert set(exporter["sending_queue"]) == {"enabled", "storage", "num_consumers", "queue_size"}


def test_clickhouse_and_datadog_have_queues_of_their_own() -> None:
    for version in otel.VERSIONS:
        names = set(composed("clickhouse-prod", version=version)["exporters"])
        assert {"clickhouse/traces", "clickhouse/metrics", "clickhouse/logs"} < names
        assert len(names) == 6


def test_the_names_that_own_queues_and_offsets_are_the_same_in_all_versions() -> None:
    old, new = (composed("clickhouse", version=version) for version in ("0.96.0", "0.149.0"))

    assert set(old["exporters"]) == set(new["exporters"])
    assert set(old["receivers"]) == set(new["receivers"])
    assert old["extensions"]["file_storage"]["directory"] == new["extensions"]["file_storage"]["directory"]


def test_datadogs_statistics_are_made_where_its_components_are_and_go_nowhere_else() -> None:
    pipelines = composed("clickhouse-prod", version="0.96.0")["service"]["pipelines"]

    assert "datadog/connector" in pipelines["traces"]["exporters"]
    assert pipelines["traces/datadog"]["receivers"] == ["datadog/connector"]
    fed = [name for name, pipeline in pipelines.items() if "datadog/connector" in pipeline["receivers"]]
    assert fed == ["traces/datadog", "metrics/datadog"]
    for name in fed:
        assert all(exporter.startswith("datadog/") for exporter in pipelines[name]["exporters"])


def test_a_collector_without_datadogs_components_sends_otlp_to_its_site() -> None:
    config = composed("clickhouse-prod")

    assert config["exporters"]["otlp_http/datadog-traces"]["endpoint"] == "https://otlp.datadoghq.eu"
    assert "connectors" not in config


def test_the_default_backlog_is_fifteen_minutes_of_a_thousand_spans_within_four_gigabytes() -> None:
    queue_budget = otel.QueueBudget()
    prod = ("traces", "metrics", "logs") * 2

    assert queue_budget.queue_bytes("traces") == 1_000 * 1_000 * 15 * 60
    assert (
        queue_budget.queue_bytes("logs")
        == queue_budget.queue_bytes("metrics")
        == queue_budget.queue_bytes("traces") // 4
    )
    assert queue_budget.needed_bytes(prod) <= 4_000_000_000


def test_a_backlog_that_its_disk_cannot_hold_is_refused() -> None:
    with pytest.raises(otel.ConfigurationError, match=r"need 7560000000 bytes of disk for 1800 s at 1000 spans/s"):
        composed("clickhouse-prod", queue_budget=otel.QueueBudget(outage_seconds=1800))


def test_a_backlog_of_nothing_is_refused() -> None:
    with pytest.raises(otel.ConfigurationError, match="outage_seconds must be at least 1"):
        otel.QueueBudget(outage_seconds=0)


@pytest.mark.parametrize("version", otel.VERSIONS)
@pytest.mark.parametrize("name", otel.PROFILES)
def test_secrets_are_read_from_files_and_only_from_those_that_the_profile_names(name: str, version: str) -> None:
    text = otel.render(composed(name, version=version))

    named = {
        f"${{file:{otel.CONTAINER.secrets_directory}/{secret}}}"
        for secret in otel.secret_names(otel.PROFILES[name])
    }
    assert {line.split(": ", 1)[1] for line in text.splitlines() if "${file:" in line} == named


def test_every_signal_says_which_environment_it_is_from() -> None:
    config = composed("clickhouse", device_id="abc")

    said = {entry["key"]: entry["value"] for entry in config["processors"]["resource"]["attributes"]}
    assert said == {"deployment.environment": "staging", "device.id": "abc"}
    assert all("resource" in pipeline["processors"] for pipeline in config["service"]["pipelines"].values())


def test_without_an_environment_what_senders_say_is_left_alone() -> None:
    assert "resource" not in otel.compose(otel.PROFILES["file-dev"])["processors"]


def test_redaction_can_be_switched_off() -> None:
    config = composed("clickhouse", redaction=otel.Redaction.NOTHING)

    assert "transform/redaction" not in config["processors"]


def test_keys_are_masked_unless_redaction_is_off_and_prompts_are_removed_when_asked() -> None:
    keys, content = (
        statements(composed("clickhouse", redaction=redaction))
        for redaction in (otel.Redaction.KEYS, otel.Redaction.CONTENT)
    )

    assert "sk-[A-Za-z0-9_-]" in keys
    assert "sk-[A-Za-z0-9_-]" in content
    assert "http[.]request[.]body" not in keys
    assert "http[.]request[.]body" in content


def test_a_collector_reads_only_the_log_folders_that_are_its_own() -> None:
    config = composed("clickhouse", log_directories=("replica-2",))

    assert config["receivers"]["filelog/letta"]["include"] == ["/var/log/letta/replica-2/Letta.log*"]
    assert config["receivers"]["filelog/letta"]["storage"] == "file_storage"


def test_requests_are_limited_in_size_on_both_protocols() -> None:
    protocols = composed("file")["receivers"]["otlp"]["protocols"]

    assert protocols["grpc"]["max_recv_msg_size_mib"] == 16
    assert protocols["http"]["max_request_body_size"] == 16 * 1024 * 1024


def test_clickhouses_tables_are_left_alone_by_versions_that_can_leave_them_alone() -> None:
    new, old = (composed("clickhouse", version=version) for version in ("0.149.0", "0.96.0"))

    assert new["exporters"]["clickhouse/logs"]["create_schema"] is False
    assert "create_schema" not in old["exporters"]["clickhouse/logs"]
    assert any(
        "create ClickHouse's tables itself" in said
        for said in otel.limitations(otel.PROFILES["clickhouse"], version="0.96.0")
    )


@pytest.mark.parametrize(
    ("endpoint", "plain", "address"),
    [
        ("https://ingest.eu.signoz.cloud:443", False, "ingest.eu.signoz.cloud:443"),
        ("https://signoz.example", False, "signoz.example:443"),
        ("http://signoz:4317", True, "signoz:4317"),
        ("http://[fd00::1]:4317", True, "[fd00::1]:4317"),
    ],
)
def test_signoz_is_reached_with_tls_unless_its_address_says_http(endpoint: str, plain: bool, address: str) -> None:
    config = composed("signoz", destinations=otel.Destinations(signoz=otel.SigNoz(endpoint=endpoint)))

    exporter = config["exporters"]["otlp/signoz-traces"]
    assert exporter["endpoint"] == address
    assert exporter.get("tls", {}).get("insecure", False) is plain


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [("https://ch.example", "https://ch.example:8443"), ("http://ch:8123/", "http://ch:8123")],
)
def test_clickhouse_is_named_with_its_port(endpoint: str, expected: str) -> None:
    assert otel.ClickHouse(endpoint=endpoint).address == expected


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "ch:8123", "tcp://ch:9000", "http://", "http://ch:x", "http://ch/db", "http://ch?a=1", "http://c h"),
        *("http://u:hunter22@ch", "http://u:hunter22", "http://ch/hunter22"),
    ],
)
def test_an_endpoint_that_is_more_or_less_than_an_address_is_refused_without_repeating_it(endpoint: str) -> None:
    with pytest.raises(otel.ConfigurationError) as error:
        otel.ClickHouse(endpoint=endpoint)

    assert "hunter22" not in str(error.value)


@pytest.mark.parametrize("database", ["", "my-db", 'a"b', "1a", "a.b", "a;drop"])
def test_a_database_name_that_would_need_quotes_is_refused(database: str) -> None:
    with pytest.raises(otel.ConfigurationError, match="database must be letters, digits and _"):
        otel.ClickHouse(endpoint="http://ch:8123", database=database)


@pytest.mark.parametrize("site", ["", "https://datadoghq.com", "datadoghq", "datadoghq.com/x"])
def test_a_datadog_site_that_is_no_host_name_is_refused(site: str) -> None:
    with pytest.raises(otel.ConfigurationError, match="site must be a name like datadoghq"):
        otel.Datadog(site=site)


@pytest.mark.parametrize(
    ("name", "needs"),
    [("clickhouse", "ClickHouse's endpoint"), ("signoz", "SigNoz' endpoint"), ("clickhouse-prod", "ClickHouse's")],
)
def test_a_profile_without_its_destination_is_refused(name: str, needs: str) -> None:
    with pytest.raises(otel.ConfigurationError, match=f"profile {name} needs {needs}"):
        otel.compose(otel.PROFILES[name])


def test_what_a_choice_cannot_give_is_said() -> None:
    prod = otel.PROFILES["clickhouse-prod"]

    assert any("no APM statistics" in said for said in otel.limitations(prod))
    assert any(
        "never tries to send a batch of traces again" in said for said in otel.limitations(prod, version="0.96.0")
    )
    assert any("Files have no queue" in said for said in otel.limitations(otel.PROFILES["file"]))
    assert any("wrong or expired key, is dropped" in said for said in otel.limitations(otel.PROFILES["signoz"]))
    (damaged,) = otel.limitations(otel.PROFILES["clickhouse"])
    assert "whose first pages are damaged" in damaged


def test_every_version_says_its_known_vulnerabilities() -> None:
    assert set(otel.VULNERABILITIES) == set(otel.VERSIONS)
    assert len(otel.VULNERABILITIES["0.96.0"]) == 2


def test_a_collector_outside_of_a_container_uses_the_addresses_and_folders_that_it_is_given() -> None:
    layout = otel.ListenLayout(
        address="127.0.0.1",
        grpc_port=1,
        http_port=2,
        health_port=3,
        metrics_port=4,
        data_directory="/here/data",
        secrets_directory="/here/secrets",
        log_directory="/here/logs",
    )
    for version in otel.VERSIONS:
        text = otel.render(composed("clickhouse-prod", version=version, layout=layout))

        assert "0.0.0.0" not in text  # noqa: S104
        assert "/var/" not in text
        assert "/run/" not in text


@pytest.mark.parametrize("folder", ["relative", "/with/${env:HOME}", "/with/*", "/with}"])
def test_a_folder_that_the_collector_would_read_otherwise_is_refused(folder: str) -> None:
    with pytest.raises(otel.ConfigurationError, match="absolute path"):
        otel.ListenLayout(data_directory=folder)


def test_a_collector_without_log_folders_reads_no_logs_and_goes_on_taking_them() -> None:
    for version in otel.VERSIONS:
        config = composed("clickhouse-prod", version=version, log_directories=())

        assert "filelog/letta" not in config["receivers"]
        logs = [one for name, one in config["service"]["pipelines"].items() if name.startswith("logs")]
        assert all(one["receivers"] == ["otlp"] for one in logs)
