"""The same services as an idiomatic Compose project.

Images, commands, health checks, limits and hardening are those of our containers, read from the engine. The
differences are what Compose does in its own way: one network, secrets and configuration as mounted files, one-shot
services whose completion others wait for, and a route file that names the server's alias.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalogue import SERVICE_LABEL
from components import nginx

SERVICES = ("postgres", "roles", "redis", "migration", "letta", "nginx")
_JOBS = ("roles", "migration")
_COMPLETED = "service_completed_successfully"
_HEALTHY = "service_healthy"
_AFTER = {
    "roles": {"postgres": _HEALTHY},
    "migration": {"roles": _COMPLETED},
    "letta": {"migration": _COMPLETED, "redis": _HEALTHY},
    "nginx": {"letta": _HEALTHY},
}
_VOLUMES = {
    "postgres": ("postgres-data:/var/lib/postgresql/data", "postgres-socket:/run/postgresql"),
    "roles": ("postgres-socket:/run/postgresql",),
}
_SECRETS = {
    "roles": ("LETTA_A_PASSWORD", "LETTA_B_PASSWORD"),
    "migration": ("LETTA_PG_URI", "LETTA_ENCRYPTION_KEY"),
    "letta": ("LETTA_PG_URI", "LETTA_ENCRYPTION_KEY", "LETTA_SERVER_PASSWORD"),
}
_CONFIGS = {"nginx": {"nginx.conf": f"{nginx.CONFIG}/nginx.conf", "servers": f"{nginx.ROUTE}/servers"}}
# The project has no collector, and exporting to nothing would cost time.
_TELEMETRY = "LETTA_OTEL_EXPORTER_OTLP_ENDPOINT"


def write_files(folder: Path, password: str) -> None:
    """Write the secrets and the configuration that the project mounts; all secrets are `password`."""
    contents = {
        "LETTA_A_PASSWORD": password,
        "LETTA_B_PASSWORD": password,
        "LETTA_PG_URI": f"postgresql://letta_a:{password}@postgres:5432/letta",
        "LETTA_ENCRYPTION_KEY": password,
        "LETTA_SERVER_PASSWORD": password,
        "nginx.conf": nginx.configuration(debug=False),
        "servers": "version compose\nletta:8283\n",
    }
    for name, content in contents.items():
        path = folder / name
        path.write_text(content)
        # Read by the services' users; the folder itself is private.
        path.chmod(0o444)


def project(name: str, containers: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Return the project as a document for `compose --file`.

    Args:
        name: the project's name.
        containers: our containers as the engine describes them, by service.
        folder: the folder of `write_files`.
    """
    secrets = sorted({secret for one in _SECRETS.values() for secret in one})
    configs = sorted({config for one in _CONFIGS.values() for config in one})
    return {
        "name": name,
        "services": {service: _service(service, containers[service]) for service in SERVICES},
        "volumes": {"postgres-data": {}, "postgres-socket": {}},
        "secrets": {secret: {"file": str(folder / secret)} for secret in secrets},
        # A dot is not allowed in names of configs.
        "configs": {_config_name(config): {"file": str(folder / config)} for config in configs},
    }


def _config_name(file: str) -> str:
    return file.replace(".", "-")


def _service(service: str, inspected: Mapping[str, Any]) -> dict[str, Any]:
    config, host = inspected["Config"], inspected["HostConfig"]
    is_job = service in _JOBS
    written: dict[str, Any] = {
        "image": config["Image"],
        "user": config["User"],
        "labels": {SERVICE_LABEL: service},
        "environment": _environment(service, config["Env"] or ()),
        "tmpfs": [f"{path}:{options}" for path, options in sorted((host.get("Tmpfs") or {}).items())],
        "read_only": host["ReadonlyRootfs"],
        "cap_drop": list(host["CapDrop"] or ()),
        "security_opt": list(host["SecurityOpt"] or ()),
        "init": bool(host["Init"]),
        "mem_limit": host["Memory"],
        "memswap_limit": host["MemorySwap"],
        "shm_size": host["ShmSize"],
        "logging": {"driver": host["LogConfig"]["Type"], "options": dict(host["LogConfig"]["Config"] or {})},
        "depends_on": {other: {"condition": condition} for other, condition in _AFTER.get(service, {}).items()},
        "volumes": list(_VOLUMES.get(service, ())),
        "secrets": list(_SECRETS.get(service, ())),
        "configs": [
            {"source": _config_name(file), "target": target} for file, target in _CONFIGS.get(service, {}).items()
        ],
    }
    command = list(config["Cmd"] or ())
    if is_job:
        # Without our wrapper, which keeps running for a while so that a health check can see the success: Compose
        # sees the exit code.
        written |= {"entrypoint": command, "command": [], "restart": "no"}
    else:
        written |= {
            "command": command,
            "restart": host["RestartPolicy"]["Name"],
            "healthcheck": _health(config["Healthcheck"]),
            "stop_signal": config.get("StopSignal") or "SIGTERM",
        }
    if host.get("PortBindings"):
        written["ports"] = [
            f"{binding['HostIp']}:{binding['HostPort']}:{port.partition('/')[0]}"
            for port, bindings in host["PortBindings"].items()
            for binding in bindings
        ]
    return {key: value for key, value in written.items() if value not in ([], {}, None)}


def _environment(service: str, entries: Any) -> dict[str, str]:
    pairs = dict(entry.split("=", 1) for entry in entries)
    if service == "letta":
        pairs.pop(_TELEMETRY, None)
    # Compose would expand a dollar sign as a variable.
    return {key: value.replace("$", "$$") for key, value in sorted(pairs.items())}


def _health(check: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "test": list(check["Test"]),
        "retries": check.get("Retries", 3),
        **{
            key: f"{check[name]}ns"
            for key, name in (("interval", "Interval"), ("timeout", "Timeout"), ("start_period", "StartPeriod"))
            if check.get(name)
        },
    }
