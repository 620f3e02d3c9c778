"""What `make up` shows at its end: endpoints, and commands that can be pasted as they are."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_NAMES: Mapping[str, str] = {
    "apiUrl": "API",
    "docsUrl": "API reference",
    "healthUrl": "health",
    "otlpGrpcEndpoint": "OTLP (gRPC)",
    "otlpHttpEndpoint": "OTLP (HTTP)",
    "collectorHealthUrl": "collector health",
    "collectorMetricsUrl": "collector metrics",
    "grafanaTracesUrl": "traces in Grafana",
    "redisUrl": "Redis",
}


def rows(outputs: Mapping[str, Any], stack: str) -> tuple[tuple[str, str], ...]:
    """Return the table of endpoints: what, where."""
    found = [(name, str(outputs[key])) for key, name in _NAMES.items() if outputs.get(key)]
    if "otlpToken" in outputs:
        found.append(("OTLP token", f"`pulumi stack output otlpToken --show-secrets --stack {stack}`"))
    if outputs.get("telemetryReason"):
        found.append(("telemetry", str(outputs["telemetryReason"])))
    if outputs.get("tracesVolume"):
        where = f"{outputs.get('tracesFile', '')} in volume {outputs['tracesVolume']} (`{make('traces', stack)}`)"
        found.append(("traces", where))
    if "serverPassword" in outputs:
        found.append(("password", f"`{password_command(stack)}`"))
    if "postgresUrl" in outputs:
        found.append(("Postgres", f"`pulumi stack output postgresUrl --show-secrets --stack {stack}`"))
    return tuple(found)


def make(verb: str, stack: str) -> str:
    """Return the command for a verb; it names the stack only when that is not the default."""
    return f"make {verb}" + ("" if stack == "dev" else f" STACK={stack}")


def shell_line(root: Path, stack: str) -> str:
    """Return the line after which plain `pulumi` works in a shell, whatever folder the shell is in."""
    return f'eval "$(make -s -C {shlex.quote(str(root))} env STACK={stack})"'


def password_command(stack: str) -> str:
    """Return the command that prints the server's password."""
    return f"pulumi stack output serverPassword --show-secrets --stack {stack}"


def snippets(outputs: Mapping[str, Any], *, root: Path, stack: str) -> str:
    """Return shell lines that use the stack, with curl and with the SDK.

    For a stack of data services only: lines that point a server run from source at them.
    """
    prepare = shell_line(root, stack)
    folder = shlex.quote(str(root))
    if not outputs.get("apiUrl"):
        redis = urlsplit(str(outputs.get("redisUrl")))
        return f"""{prepare}
export LETTA_PG_URI="$(pulumi -C {folder} stack output postgresUrl --show-secrets --stack {stack})"
export LETTA_REDIS_HOST={redis.hostname} LETTA_REDIS_PORT={redis.port}"""
    api = str(outputs["apiUrl"]).rstrip("/")
    password = password_command(stack).replace("pulumi ", f"pulumi -C {folder} ", 1)
    return f"""{prepare}
export LETTA_API_KEY="$({password})"

curl -sS -w '\\n' -H "Authorization: Bearer $LETTA_API_KEY" {api}/v1/models/

python - <<'EOF'
import os
from letta_client import Letta

letta = Letta(base_url="{api}", api_key=os.environ["LETTA_API_KEY"])
print("models:", [model.handle for model in letta.models.list()])
print("agents:", [agent.name for agent in letta.agents.list()])
EOF"""


def next_steps(outputs: Mapping[str, Any], stack: str, *, has_provider: bool) -> tuple[str, ...]:
    """Return what to do next, as command and meaning."""
    steps = []
    if outputs.get("apiUrl") and not has_provider:
        steps.append(
            f"pulumi config set --secret openaiApiKey --stack {stack} && {make('up', stack)}   "
            "add a model provider (docs/configuration.md lists all)"
        )
    if outputs.get("tracesVolume"):
        steps.append(f"{make('traces', stack)}   read and follow the traces")
    return (
        *steps,
        f"{make('status', stack)}   services, health, memory",
        f"{make('down', stack)}   remove the stack and its data",
    )
