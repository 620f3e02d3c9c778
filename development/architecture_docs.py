"""Draws the architecture from the program itself, so that the picture cannot drift from what is deployed.

Owns the parts between the markers in README.md and docs/architecture.md, not the words around them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from development.topology import Service, Topology, registered, topology

PAGES = (Path("README.md"), Path("docs") / "architecture.md")
NOTE = "drawn from the program by `make docs`; a test fails when it is stale"


def _id(kind: str, name: str) -> str:
    # With the kind in front: `end` and `default` alone are words of Mermaid.
    return f"{kind}_{name.replace('-', '_')}"


def mermaid(drawn: Topology) -> str:
    """Return a flowchart: services in the first of their networks, lines to other networks, ports and volumes."""
    addresses = sorted({port.address for service in drawn.services for port in service.ports})
    lines = ["flowchart LR", f'    host(["this machine<br/>{", ".join(addresses)}"])', '    outside(["outside"])']
    homes = {service.tiers[0] for service in drawn.services if service.tiers}
    for tier, internal in drawn.tiers.items():
        if tier not in homes:
            lines.append(f'    {_id("net", tier)}(["network {tier}"])')
            continue
        title = f"network {tier}{' (internal)' if internal else ''}"
        lines.append(f'    subgraph {_id("net", tier)}["{title}"]')
        lines += [f"        {_node(one)}" for one in drawn.services if one.tiers[:1] == (tier,)]
        lines.append("    end")
    lines += [f"    {_node(one)}" for one in drawn.services if not one.tiers]
    lines += [f'    {_id("vol", volume)}[("{volume}")]' for volume in drawn.volumes]
    for service in drawn.services:
        here = _id("svc", service.name)
        if service.ports:
            ports = ", ".join(port.mapping for port in service.ports)
            lines.append(f'    host -- "{ports}" --> {here}')
        lines += [f"    {here} --- {_id('net', tier)}" for tier in service.tiers[1:]]
        lines += [f"    {here} -.- {_id('vol', volume)}" for volume in service.volumes]
    lines += [
        f"    {_id('net', tier)} --> outside"
        for tier, internal in drawn.tiers.items()
        if tier not in homes and not internal
    ]
    return "\n".join(lines)


def _node(service: Service) -> str:
    shape = ('{{"', '"}}') if service.is_job else ('["', '"]')
    return f"{_id('svc', service.name)}{shape[0]}{service.title}{shape[1]}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def services_table(drawn: Topology) -> str:
    """Return the table of services: what each may use, publishes and mounts."""
    head = ("Container", "User", "Memory limit", "Networks", "Published", "Volumes")
    rows = [
        (
            f"`{service.name}`{' (job)' if service.is_job else ''}",
            service.user,
            f"{service.memory_mb} MiB",
            ", ".join(service.tiers) or "none",
            ", ".join(f"{port.address}:{port.mapping}" for port in service.ports),
            ", ".join(service.volumes),
        )
        for service in drawn.services
    ]
    return _table(head, rows)


def networks_table(drawn: Topology) -> str:
    """Return the table of networks: members, and whether each reaches the outside."""
    rows = [
        (
            f"`{tier}`",
            "no" if internal else "yes",
            ", ".join(service.title for service in drawn.services if tier in service.tiers),
        )
        for tier, internal in drawn.tiers.items()
    ]
    return _table(("Network", "Reaches the outside", "Members"), rows)


def volumes_table(drawn: Topology) -> str:
    """Return the table of volumes: who mounts each, and whether it holds data."""
    rows = [
        (
            f"`{volume}`",
            "yes" if is_data else "no; recreated when lost",
            ", ".join(service.title for service in drawn.services if volume in service.volumes),
        )
        for volume, is_data in drawn.volumes.items()
    ]
    return _table(("Volume", "Holds data", "Mounted by"), rows)


def parts() -> dict[str, str]:
    """Return every generated part by the name in its markers."""
    drawn = topology(registered())
    return {
        "picture": f"```mermaid\n{mermaid(drawn)}\n```",
        "services": services_table(drawn),
        "networks": networks_table(drawn),
        "volumes": volumes_table(drawn),
    }


def replaced(page: str, generated: Mapping[str, str]) -> str:
    """Return a page with generated parts between its markers; a page need not have all of them.

    Raises:
        ValueError: when a marker is opened and not closed.
    """
    for name, content in generated.items():
        start, end = f"<!-- {name}: {NOTE} -->\n", f"<!-- end of {name} -->"
        head, opened, rest = page.partition(start)
        if not opened:
            continue
        _, closed, tail = rest.partition(end)
        if not closed:
            raise ValueError(f"no line {end!r} after {start.strip()!r}")
        page = f"{head}{start}\n{content}\n\n{end}{tail}"
    return page
