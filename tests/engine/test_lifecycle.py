"""What updates do to a running platform: nothing when nothing changed, as little as needed otherwise."""

from __future__ import annotations

import json

import pytest
from letta_client import Letta

from testbed.checkout import clone
from testbed.deployment import Deployment
from tests.engine.conftest import eventually, new_agent

pytestmark = pytest.mark.engine


def _memory(client: Letta, agent: str) -> str:
    return str(client.agents.blocks.retrieve("human", agent_id=agent).value)


def test_a_second_preview_shows_no_changes(platform: Deployment) -> None:
    platform.pulumi("preview", "--expect-no-changes")


def test_a_refresh_finds_nothing_that_differs(platform: Deployment) -> None:
    platform.pulumi("refresh", "--preview-only", "--expect-no-changes")


def test_make_up_again_changes_nothing(platform: Deployment) -> None:
    before = platform.ids()
    platform.make("up")
    assert platform.ids() == before


def test_the_checkout_stays_clean(platform: Deployment) -> None:
    # The stack files of the tests lie in the same clone, each written by a test and not by a command.
    changed = platform.run("git", "status", "--porcelain", "--", ".", ":!Pulumi.test-*.yaml").output
    assert changed == ""


def test_a_changed_key_replaces_the_server_alone_and_keeps_its_memory(platform: Deployment, client: Letta) -> None:
    agent = new_agent(client)
    client.agents.messages.create(agent, messages=[{"role": "user", "content": "remember: likes green tea"}])
    assert "green tea" in _memory(client, agent)
    before = platform.ids()
    platform.set_secret("groqApiKey", "gsk-another-key-for-the-test")
    platform.pulumi("up", "--yes", "--skip-preview")
    after = platform.ids()
    # The route is the JOB that moves traffic to the new server; JOBs that have ended are not listed.
    running = {"postgres", "redis", "collector", "nginx", "letta"}
    changed = {service for service in running if after[service] != before[service]}
    assert changed == {"letta"}
    assert "green tea" in _memory(client, agent)


def test_a_server_that_does_not_start_leaves_the_old_one_serving(platform: Deployment, client: Letta) -> None:
    agent = new_agent(client)
    before = platform.ids()["letta"]
    # A setting that crashes the server when it is imported.
    platform.set(serverEnvironment={"LETTA_CORS_ORIGINS": "not-a-list"})
    failed = platform.pulumi("up", "--yes", "--skip-preview", check=False)
    assert failed.code != 0
    assert f"letta-{platform.stack}-server-" in failed.output, "the message names the container"
    assert "LETTA_CORS_ORIGINS" in failed.output.upper() or "cors_origins" in failed.output, "and shows its log"
    assert before in [one.id for one in platform.containers("letta")]
    assert client.agents.retrieve(agent).id == agent
    platform.set(serverEnvironment=None)
    platform.pulumi("up", "--yes", "--skip-preview")
    assert client.agents.retrieve(agent).id == agent
    platform.pulumi("preview", "--expect-no-changes")


def test_a_rotation_of_the_database_password_is_an_update_like_any_other(
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


def test_an_image_that_was_pruned_by_hand_is_built_again(platform: Deployment) -> None:
    reference = platform.outputs()["images"]["collector"]
    platform.engine.images.remove(reference, force=True)
    platform.make("up")
    assert platform.engine.images.get(reference)


def test_another_clone_manages_the_same_stack(
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


def test_an_encryption_key_that_is_not_the_datas_is_refused(
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


def test_a_policy_pack_is_run(platform: Deployment) -> None:
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
    # The server starts beside the migration, but its route comes after both.
    assert f"{name}-migration" in needed[f"{name}-nginx-route"]
    assert f"{name}-migration" not in needed[f"{name}-server"]
    assert f"{name}-postgres-roles" in needed[f"{name}-server"]
    assert f"{name}-postgres" in needed[f"{name}-postgres-roles"]


def test_a_stopped_server_comes_back(platform: Deployment, client: Letta) -> None:
    platform.container("letta").restart(timeout=60)
    for attempt in eventually(120):
        with attempt:
            assert client.agents.list() is not None


def test_a_changed_file_rebuilds_one_image_and_replaces_only_what_runs_it(platform: Deployment) -> None:
    before, images = platform.ids(), platform.outputs()["images"]
    file = platform.root / "images" / "redis" / "redis.conf"
    text = file.read_text()
    file.write_text(f"{text}\n# a comment more\n")
    try:
        platform.pulumi("up", "--yes", "--skip-preview")
        after = platform.outputs()["images"]
        assert {name for name in images if after[name] != images[name]} == {"redis"}
        running = platform.ids()
        services = {"postgres", "redis", "collector", "nginx", "letta"}
        assert {one for one in services if running[one] != before[one]} == {"redis"}
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
