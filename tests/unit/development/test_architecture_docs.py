"""The picture of the architecture: drawn from what the program registers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import catalogue
from catalogue import DATA_SERVICE, FILES_SUFFIX, SCRATCH_SERVICE, SERVICE_LABEL
from development import architecture_docs
from development.topology import NETWORK, Topology, registered, topology
from operations.stack.state import CONTAINER, VOLUME

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def program() -> Topology:
    return topology(registered())


def _container(name: str, **inputs: Any) -> tuple[str, str, dict[str, Any]]:
    return CONTAINER, f"letta-dev-{name}", {"user": "7:7", "memory": 64, **inputs}


def _labelled(service: str) -> list[dict[str, str]]:
    return [{"label": SERVICE_LABEL, "value": service}]


def test_the_picture_is_the_same_every_time(program: Topology) -> None:
    assert architecture_docs.mermaid(program) == architecture_docs.mermaid(topology(registered()))


def test_the_program_can_be_read_from_any_folder_and_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert registered()
    assert Path.cwd() == tmp_path


def test_the_program_has_the_known_services_and_jobs(program: Topology) -> None:
    services = {one.name for one in catalogue.services(catalogue.Composition.ALL)}
    assert {one.name for one in program.services if not one.is_job} == services - {"letta"} | {"server"}
    assert {one.name for one in program.services if one.is_job} == {
        "collector-validation", "migration", "nginx-route", "postgres-roles",
    }  # fmt: skip


def test_a_published_port_is_drawn_from_the_machine_to_its_service() -> None:
    ports = [{"ip": "127.0.0.1", "external": 8283, "internal": 8080}]
    drawn = topology(
        [
            (NETWORK, "letta-dev-edge", {}),
            _container("nginx", networksAdvanced=[{"name": "letta-dev-edge"}], ports=ports),
        ]
    )
    assert '    host -- "8283 → 8080" --> svc_nginx' in architecture_docs.mermaid(drawn).splitlines()


def test_a_service_is_drawn_in_its_first_network_with_lines_to_the_others() -> None:
    drawn = topology(
        [
            (NETWORK, "letta-dev-app", {"internal": True}),
            (NETWORK, "letta-dev-out", {}),
            _container("server", networksAdvanced=[{"name": "letta-dev-app"}, {"name": "letta-dev-out"}]),
        ]
    )
    lines = architecture_docs.mermaid(drawn).splitlines()
    start = lines.index('    subgraph net_app["network app (internal)"]')
    assert lines[start + 1 : start + 3] == ['        svc_server["server"]', "    end"]
    assert "    svc_server --- net_out" in lines
    assert "    net_out --> outside" in lines
    assert "    net_app --> outside" not in lines


def test_containers_that_never_start_and_file_bundles_are_not_drawn() -> None:
    drawn = topology(
        [
            _container("server-secrets", start=False),
            (VOLUME, "letta-dev-server-secrets", {"labels": _labelled(f"letta{FILES_SUFFIX}")}),
            (VOLUME, "letta-dev-data", {"labels": _labelled(DATA_SERVICE)}),
        ]
    )
    assert drawn.services == ()
    assert drawn.volumes == {"data": True}


def test_a_job_without_network_is_drawn_with_the_volumes_it_shares() -> None:
    drawn = topology(
        [
            (VOLUME, "letta-dev-socket", {"labels": _labelled(SCRATCH_SERVICE)}),
            _container("roles", restart="no", volumes=[{"volumeName": "letta-dev-socket"}]),
        ]
    )
    lines = architecture_docs.mermaid(drawn).splitlines()
    assert '    svc_roles{{"roles (job)"}}' in lines
    assert "    svc_roles -.- vol_socket" in lines
    assert "| `socket` | no; recreated when lost | roles (job) |" in architecture_docs.volumes_table(drawn)


def _page(content: str) -> str:
    return f"before\n<!-- picture: {architecture_docs.NOTE} -->\n{content}<!-- end of picture -->\nafter\n"


def test_only_what_is_between_the_markers_is_replaced() -> None:
    new = architecture_docs.replaced(_page("old\n"), {"picture": "new", "elsewhere": "other"})
    assert new == _page("\nnew\n\n")
    assert architecture_docs.replaced(new, {"picture": "new"}) == new


def test_a_marker_that_is_not_closed_is_an_error() -> None:
    with pytest.raises(ValueError, match="end of picture"):
        architecture_docs.replaced(_page("old\n").partition("<!-- end")[0], {"picture": "new"})
