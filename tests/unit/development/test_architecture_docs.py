"""The picture of the architecture: drawn from what the program registers, current in the pages that show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from development import architecture_docs
from development.topology import ROOT, Topology, registered, topology

pytestmark = pytest.mark.unit

CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"


@pytest.fixture(scope="module")
def program() -> Topology:
    return topology()


@pytest.fixture
def run_once(program: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages be drawn from what the program registered in its one run."""
    monkeypatch.setattr(architecture_docs, "topology", lambda: program)


def _container(name: str, **inputs: Any) -> tuple[str, str, dict[str, Any]]:
    return CONTAINER, f"letta-dev-{name}", {"user": "7:7", "memory": 64, **inputs}


def _labelled(service: str) -> list[dict[str, str]]:
    return [{"label": "letta-platform.service", "value": service}]


@pytest.mark.usefixtures("run_once")
def test_the_pages_show_the_program_as_it_is() -> None:
    stale = [str(page) for page in architecture_docs.stale()]
    assert not stale, "run `make docs`"


@pytest.mark.usefixtures("run_once")
def test_every_part_is_shown_on_a_page() -> None:
    text = "".join((ROOT / page).read_text() for page in architecture_docs.PAGES)
    for part in architecture_docs.parts().values():
        assert part in text


def test_the_picture_is_the_same_every_time(program: Topology) -> None:
    assert architecture_docs.mermaid(program) == architecture_docs.mermaid(topology())


def test_the_program_can_be_read_from_any_folder_and_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert registered()
    assert Path.cwd() == tmp_path


def test_the_program_has_the_services_that_people_know(program: Topology) -> None:
    assert {one.name for one in program.services if not one.is_job} == {
        "collector", "nginx", "postgres", "redis", "server",
    }  # fmt: skip
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


def test_what_never_starts_and_what_only_brings_files_is_not_drawn() -> None:
    drawn = topology(
        [
            _container("server-secrets", start=False),
            (VOLUME, "letta-dev-server-secrets", {"labels": _labelled("letta-files")}),
            (VOLUME, "letta-dev-data", {"labels": _labelled("data")}),
        ]
    )
    assert drawn.services == ()
    assert drawn.volumes == {"data": True}


def test_a_job_without_network_is_drawn_with_the_volumes_it_shares() -> None:
    drawn = topology(
        [
            (VOLUME, "letta-dev-socket", {"labels": _labelled("scratch")}),
            _container("roles", restart="no", volumes=[{"volumeName": "letta-dev-socket"}]),
        ]
    )
    lines = architecture_docs.mermaid(drawn).splitlines()
    assert '    svc_roles{{"roles (JOB)"}}' in lines
    assert "    svc_roles -.- vol_socket" in lines
    assert "| `socket` | made again when lost | roles (JOB) |" in architecture_docs.volumes_table(drawn)


def _page(content: str) -> str:
    return f"before\n<!-- picture: {architecture_docs.NOTE} -->\n{content}<!-- end of picture -->\nafter\n"


def test_only_what_is_between_the_markers_is_replaced() -> None:
    new = architecture_docs.replaced(_page("old\n"), {"picture": "new", "elsewhere": "other"})
    assert new == _page("\nnew\n\n")
    assert architecture_docs.replaced(new, {"picture": "new"}) == new


def test_a_marker_that_is_not_closed_is_an_error() -> None:
    with pytest.raises(ValueError, match="end of picture"):
        architecture_docs.replaced(_page("old\n").partition("<!-- end")[0], {"picture": "new"})


@pytest.mark.usefixtures("run_once")
def test_stale_pages_are_told_and_written(tmp_path: Path) -> None:
    for page in architecture_docs.PAGES:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).write_text(_page("old\n"))
    assert not architecture_docs.check(tmp_path)
    assert architecture_docs.write(tmp_path) == architecture_docs.PAGES
    assert architecture_docs.check(tmp_path)
    assert architecture_docs.render() in (tmp_path / "README.md").read_text()
