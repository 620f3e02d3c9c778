"""What updates do to a running platform: nothing when nothing changed, and otherwise as little as needed."""

from __future__ import annotations

import json

import pytest
from letta_client import Letta

from catalogue import SERVICES
from testbed.agents import new_agent, send
from testbed.checkout import clone
from testbed.deployment import Deployment
from testbed.polling import eventually

pytestmark = pytest.mark.engine


def _memory(client: Letta, agent: str) -> str:
    return str(client.agents.blocks.retrieve("human", agent_id=agent).value)


def _replaced(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Return the services whose container is another one now; jobs do not count."""
    return {service.name for service in SERVICES if after[service.name] != before[service.name]}


def test_a_second_preview_shows_no_changes(platform: Deployment) -> None:
    platform.pulumi("preview", "--expect-no-changes")


def test_a_refresh_finds_no_differences(platform: Deployment) -> None:
    platform.pulumi("refresh", "--preview-only", "--expect-no-changes")


def test_make_up_again_changes_nothing(platform: Deployment) -> None:
    before = platform.ids()
    platform.make("up")
    assert platform.ids() == before


def test_the_checkout_stays_clean(platform: Deployment) -> None:
    # Except the stack files, which the tests write and not the commands.
    changed = platform.run("git", "status", "--porcelain", "--", ".", ":!Pulumi.test-*.yaml").output
    assert changed == ""


def test_a_changed_key_replaces_only_the_server_and_keeps_its_memory(platform: Deployment, client: Letta) -> None:
    agent = new_agent(client)
    send(client, agent, "remember: likes green tea")
    assert "green tea" in _memory(client, agent)
    before = platform.ids()
    platform.set_secret("groqApiKey", "gsk-another-key-for-the-test")
    platform.pulumi("up", "--yes", "--skip-preview")
    after = platform.ids()
    assert _replaced(before, after) == {"letta"}
    assert "green tea" in _memory(client, agent)


def test_a_server_that_does_not_start_leaves_the_old_one_serving(platform: Deployment, client: Letta) -> None:
    agent = new_agent(client)
    before = platform.ids()["letta"]
    # It crashes the server at its start. Settings check the server's own variables, and this is a library's.
    platform.set(serverEnvironment={"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"})
    failed = platform.pulumi("up", "--yes", "--skip-preview", check=False)
    assert failed.code != 0
    assert f"letta-{platform.stack}-server-" in failed.output, "the message names the container"
    assert "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" in failed.output, "and shows its log"
    assert before in [one.id for one in platform.containers("letta")]
    assert client.agents.retrieve(agent).id == agent
    platform.set(serverEnvironment=None)
    platform.pulumi("up", "--yes", "--skip-preview")
    assert client.agents.retrieve(agent).id == agent
    platform.pulumi("preview", "--expect-no-changes")


def test_rotating_the_database_password_replaces_the_server_and_not_postgres(
    platform: Deployment, client: Letta
) -> None:
    agent = new_agent(client)
    before = platform.ids()
    platform.set(databaseCredentialGeneration=2)
    platform.pulumi("up", "--yes", "--skip-preview")
    after = platform.ids()
    assert after["postgres"] == before["postgres"]
    assert after["letta"] != before["letta"]
    assert client.agents.retrieve(agent).id == agent


def test_a_removed_image_is_built_again(platform: Deployment) -> None:
    reference = platform.outputs()["images"]["collector"]
    platform.engine.images.remove(reference, force=True)
    platform.make("up")
    assert platform.engine.images.get(reference)


def test_another_clone_can_manage_the_same_stack(
    platform: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Deployment(
        root=clone(tmp_path_factory.mktemp("other"), origin=platform.root),
        stack=platform.stack,
        state=platform.state,
        engine=platform.engine,
    )
    other.make("toolchain")
    other.pulumi("preview", "--expect-no-changes")


def test_an_encryption_key_that_does_not_match_the_data_is_refused(
    platform: Deployment, client: Letta, canaries: dict[str, str]
) -> None:
    before = platform.ids()["letta"]
    platform.set_secret("encryptionKey", "another-key-than-the-one-of-the-data")
    failed = platform.pulumi("up", "--yes", "--skip-preview", check=False)
    assert failed.code != 0
    assert "encryption key" in failed.output.lower()
    assert "another-key-than-the-one" not in failed.output
    assert before in [one.id for one in platform.containers("letta")]
    platform.set_secret("encryptionKey", canaries["encryptionKey"])
    platform.pulumi("up", "--yes", "--skip-preview")
    assert client.agents.list() is not None


def test_a_policy_pack_can_be_used(platform: Deployment) -> None:
    pack = platform.root / "build" / "policy"
    pack.mkdir(parents=True, exist_ok=True)
    (pack / "PulumiPolicy.yaml").write_text(
        "runtime:\n  name: python\n  options:\n    virtualenv: ../../.venv\ndescription: test\n"
    )
    (pack / "__main__.py").write_text(
        "from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy\n"
        "def check(args, report):\n"
        "    if args.resource_type == 'docker:index/container:Container':\n"
        "        report(f'{args.name} is a container')\n"
        "PolicyPack('trivial', enforcement_level=EnforcementLevel.ADVISORY, policies=[\n"
        "    ResourceValidationPolicy(name='no-containers', description='None.', validate=check)])\n"
    )
    shown = platform.pulumi("preview", "--policy-pack", str(pack)).output
    assert "no-containers" in shown
    main = pack / "__main__.py"
    main.write_text(main.read_text().replace("ADVISORY", "MANDATORY"))
    assert platform.pulumi("preview", "--policy-pack", str(pack), check=False).code != 0


def test_state_and_preview_can_be_read_by_tools(platform: Deployment) -> None:
    steps = json.loads(platform.pulumi("preview", "--json").output)
    assert {step["op"] for step in steps["steps"]} == {"same"}


def test_the_route_is_written_after_server_and_nginx_are_healthy(platform: Deployment) -> None:
    resources = json.loads(platform.pulumi("stack", "export").output)["deployment"]["resources"]
    needed = {
        one["urn"].rpartition("::")[2]: {urn.rpartition("::")[2] for urn in one.get("dependencies", ())}
        for one in resources
        if one["type"] == "docker:index/container:Container"
    }
    name = f"letta-{platform.stack}"

    assert {f"{name}-server", f"{name}-nginx"} <= needed[f"{name}-nginx-route"]
    # The server starts at the same time as the migration, but the route is written after both.
    assert f"{name}-migration" in needed[f"{name}-nginx-route"]
    assert f"{name}-migration" not in needed[f"{name}-server"]
    assert f"{name}-postgres-roles" in needed[f"{name}-server"]
    assert f"{name}-postgres" in needed[f"{name}-postgres-roles"]


def test_a_restarted_server_serves_again(platform: Deployment, client: Letta) -> None:
    platform.container("letta").restart(timeout=60)
    for attempt in eventually(120):
        with attempt:
            assert client.agents.list() is not None


def test_a_changed_file_rebuilds_one_image_and_replaces_only_its_containers(platform: Deployment) -> None:
    before, images = platform.ids(), platform.outputs()["images"]
    file = platform.root / "images" / "redis" / "redis.conf"
    text = file.read_text()
    file.write_text(f"{text}\n# one more comment\n")
    try:
        platform.pulumi("up", "--yes", "--skip-preview")
        after = platform.outputs()["images"]
        assert {name for name in images if after[name] != images[name]} == {"redis"}
        assert _replaced(before, platform.ids()) == {"redis"}
    finally:
        file.write_text(text)
    platform.pulumi("up", "--yes", "--skip-preview")
    assert platform.outputs()["images"] == images


def test_an_image_whose_health_check_fails_leaves_the_old_server_serving(
    platform: Deployment, client: Letta
) -> None:
    agent = new_agent(client)
    before = platform.ids()["letta"]
    file = platform.root / "images" / "letta" / "letta-healthy"
    text = file.read_text()
    file.write_text("#!/bin/bash\nexit 1\n")
    platform.set(startTimeoutSeconds=45)
    try:
        failed = platform.pulumi("up", "--yes", "--skip-preview", check=False)
        assert failed.code != 0
        assert f"letta-{platform.stack}-server-" in failed.output
        assert "did not become healthy in time" in failed.output
        assert before in [one.id for one in platform.containers("letta")]
        assert client.agents.retrieve(agent).id == agent
    finally:
        file.write_text(text)
        platform.set(startTimeoutSeconds=None)
    platform.pulumi("up", "--yes", "--skip-preview")
    assert len(platform.containers("letta")) == 1
    assert client.agents.retrieve(agent).id == agent
