"""Reads the answers of a Docker engine: entries of its lists and descriptions, as the Docker SDK returns them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import catalogue
from operations.engine.protocol import (
    BuildRecord,
    Container,
    EngineFacts,
    Inspection,
    Published,
)

_HEALTH = re.compile(r"\((healthy|unhealthy|health: starting)\)$")


def parse_container(raw: Mapping[str, Any]) -> Container:
    """Return a container of the engine's list."""
    found = _HEALTH.search(raw.get("Status") or "")
    attached: Mapping[str, str] = raw.get("Labels") or {}
    return Container(
        id=raw["Id"],
        name=(raw.get("Names") or ["/" + raw["Id"][:12]])[0].removeprefix("/"),
        image=raw.get("Image") or "",
        image_id=raw.get("ImageID") or "",
        state=raw["State"],
        health=found[1].removeprefix("health: ") if found else None,
        status=raw.get("Status") or "",
        stack=attached.get(catalogue.STACK_LABEL),
        stack_id=attached.get(catalogue.STACK_ID_LABEL),
        service=attached.get(catalogue.SERVICE_LABEL),
        published=tuple(
            Published(address=port.get("IP", ""), port=port["PublicPort"], internal=port["PrivatePort"])
            for port in raw.get("Ports") or []
            if port.get("PublicPort") and port.get("Type", "tcp") == "tcp"
        ),
        networks=tuple(sorted((raw.get("NetworkSettings") or {}).get("Networks") or {})),
        labels=tuple(sorted(attached.items())),
    )


def parse_inspection(raw: Mapping[str, Any]) -> Inspection:
    """Return the details of a container that the engine describes."""
    host: Mapping[str, Any] = raw.get("HostConfig") or {}
    return Inspection(
        is_job=(host.get("RestartPolicy") or {}).get("Name") in {"", "no", None},
        exit_code=raw["State"].get("ExitCode", 0),
        restarts=raw.get("RestartCount", 0),
        memory_limit=host.get("Memory") or 0,
        error=raw["State"].get("Error") or "",
    )


def parse_memory(raw: Mapping[str, Any]) -> int | None:
    """Return the bytes in use of the engine's statistics, without the file cache (cgroup 1 and 2)."""
    memory: Mapping[str, Any] = raw.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    details: Mapping[str, int] = memory.get("stats") or {}
    cache = details.get("inactive_file", details.get("total_inactive_file", 0))
    return max(int(memory["usage"]) - int(cache), 0)


def parse_facts(raw: Mapping[str, Any]) -> EngineFacts:
    """Return the facts in the engine's description of itself."""
    registries: Mapping[str, Any] = raw.get("RegistryConfig") or {}
    urls = [*(registries.get("Mirrors") or []), raw.get("IndexServerAddress") or ""]
    return EngineFacts(
        version=raw.get("ServerVersion") or "",
        operating_system=raw.get("OperatingSystem") or "",
        storage_driver=raw.get("Driver") or "",
        root=raw.get("DockerRootDir") or "",
        cpus=raw.get("NCPU") or 0,
        memory=raw.get("MemTotal") or 0,
        time=raw.get("SystemTime") or "",
        registry_hosts=tuple(dict.fromkeys(host for url in urls if (host := urlsplit(url).hostname))),
        warnings=tuple(raw.get("Warnings") or ()),
    )


def parse_build_record(raw: Mapping[str, Any]) -> BuildRecord:
    """Return a record of the build cache; newer engines list several parents, older ones one."""
    parents = raw.get("Parents") or ([raw["Parent"]] if raw.get("Parent") else [])
    return BuildRecord(
        id=raw["ID"],
        description=raw.get("Description") or "",
        parents=tuple(parents),
        size=raw.get("Size") or 0,
        in_use=bool(raw.get("InUse")),
    )
