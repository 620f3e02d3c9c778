"""Writes `docs/configuration.md` from the settings model, so that the table cannot drift from what is checked."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

import catalogue
from catalogue import Composition
from settings.model import GROUPS, NAMESPACE, SECRET_KEYS
from settings.schema import kinds, metadata

PAGE = Path("docs") / "configuration.md"

_INTRODUCTION = """\
# Configuration

<!-- Generated from settings/model.py by `make docs`; a test fails when it is stale. -->

Every stack has a file `Pulumi.<stack>.yaml` that holds its settings, all in the namespace `letta`. `Pulumi.yaml`
declares them with type, default and meaning. The model in `settings/` checks ranges and combinations, and reports
all mistakes at once, before anything is created: each with its key, its rule and the command that fixes it, never
with its value.

```console
pulumi config set letta:apiPort 8284 --stack dev
pulumi config set --secret letta:openaiApiKey --stack dev    # asks for the value, or takes it from standard input
pulumi config set --path letta:serverEnvironment.LETTA_DEFAULT_LLM_HANDLE openai/gpt-4o-mini --stack dev
pulumi config set --secret --path letta:serverSecrets.TAVILY_API_KEY --stack dev
pulumi config rm letta:apiPort --stack dev                   # back to the default
```

`none` is the value of an optional setting that is not set, because Pulumi requires a value for every declared key;
you may write it too. For the same reason secrets have no type in `Pulumi.yaml`: Pulumi would require each of them.
The model checks them instead, and refuses a secret that is stored as plain text.

Relative paths are relative to the folder of `Pulumi.yaml`.
"""


def _listed(names: Iterable[str]) -> str:
    *first, last = (f"`{name}`" for name in names)
    return f"{', '.join(first)} and {last}"


_RULES = f"""\
## Rules between settings

- No two published ports are the same. With `services` = `data` only
  {_listed(catalogue.published_ports(Composition.DATA))} are published, and `bindAddress` must be a loopback
  address, since Redis has no password.
- 2 x `lettaReplicas` x (`lettaPoolSize` + `lettaPoolMaxOverflow`) + 10 may not exceed `postgresMaxConnections`:
  twice, because old and new servers run at the same time during a rollout.
- These are set together or not at all: `clickhouseEndpoint` and `clickhousePassword`, `datadogSite` and
  `datadogApiKey`, `signozEndpoint` and `signozIngestionKey`, `azureBaseUrl` and `azureApiKey`.
- Without `telemetryProfile` the profile follows from the destinations: ClickHouse, else SigNoz, else files; with
  `telemetryVariant` = `production` and both ClickHouse and Datadog it is `clickhouse-prod`. An explicitly
  chosen profile needs its destinations to be set.
- The queues of the profile must fit into `telemetryQueueDiskMb`: for each destination `telemetrySpansPerSecond`
  x `telemetrySpanBytes` x `telemetryOutageSeconds` for spans, a quarter of that each for metrics and logs, all
  x 1.4.
- With `requireTls` the ClickHouse and SigNoz endpoints must start with `https://`.
- `pinnedImages` names every image that the stack runs, each with its digest:
  {_listed(sorted(catalogue.images(Composition.ALL)))}.
- Addresses are those that a container sees: `localhost`, in any notation, is refused, and so are IPv6 addresses,
  which the stack's networks do not have. Inside the server and the collectors, this machine is called
  `{catalogue.MACHINE}`, on Linux too; a service on it must listen on more than 127.0.0.1. `grafanaUrl` is only
  linked to. Slashes at
  the end are removed, and the `/v1` that Ollama needs is added.
- No `…Cpus` may exceed the engine's CPUs: `make up` and `make doctor` check it.
- `serverEnvironment` and `serverSecrets` may not set variables that the platform sets itself or that have a
  setting of their own. What looks like a secret must be in `serverSecrets`, whose names are in capitals.
- Variables of the server are refused, with the reason, where they would keep it from starting, remove its
  protection, send data elsewhere, or need a library that the image leaves out, and values are checked as the
  server checks them: see `settings/server_variables.py`.
- With `deploymentEnvironment` set to exactly `prod`, the server offers agents no `send_message_to_agent_async`.
- Keys that nothing reads are refused, such as `docker:host` (set `DOCKER_HOST` instead).
"""


def render() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION]
    for group in GROUPS:
        parts.append(f"## {(group.__doc__ or group.__name__).strip().rstrip('.')}\n")
        rows = ["| Key | Type | Default | Secret | Meaning |", "|---|---|---|---|---|"]
        for name, field in group.model_fields.items():
            key = field.alias or name
            secret = "yes" if key in SECRET_KEYS else ""
            cells = (f"`{NAMESPACE}:{key}`", _type(field), _default(field), secret, _meaning(field))
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append("\n".join(rows) + "\n")
    parts.append(_RULES)
    return "\n".join(parts)


def _meaning(field: FieldInfo) -> str:
    return field.description or ""


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default in (None, {}):
        return "none" if default is None else "`{}`"
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`"


def _type(field: FieldInfo) -> str:
    """Return a field's type as its user thinks of it, with its range."""
    found = kinds(field.annotation)
    for kind in found:
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return "one of " + ", ".join(f"`{member.value}`" for member in kind)
    if dict in found:
        return "map of strings"
    if bool in found:
        return "`true` or `false`"
    entries: list[Any] = metadata(field)
    if int in found or float in found:
        (low,) = (entry.ge for entry in entries if isinstance(entry, Ge))
        (high,) = (entry.le for entry in entries if isinstance(entry, Le))
        return f"{'whole number' if int in found else 'number'}, {low} to {high}"
    return "path" if Path in found else "string"
