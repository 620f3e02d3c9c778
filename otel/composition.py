"""Composes the configuration of a profile, and renders it as the YAML that the collector reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from otel.component_configs import COMPONENTS, TOKEN_EXTENSION, telemetry
from otel.config_context import (
    Component,
    ConfigContext,
    Destinations,
    QueueBudget,
    ReceiverSecurity,
    Redaction,
    Reference,
)
from otel.errors import ConfigurationError
from otel.listen_layout import CONTAINER, ListenLayout
from otel.pipelines import collector_pipelines, queues
from otel.profiles import Profile
from otel.versions import DEFAULT_VERSION, CollectorVersion

LEVELS = ("debug", "info", "warn", "error")
SMALLEST_MEMORY_MIB = 96


def compose(
    profile: Profile,
    *,
    version: str = DEFAULT_VERSION,
    level: str = "info",
    memory_mib: int = 256,
    destinations: Destinations | None = None,
    environment: str | None = None,
    device_id: str | None = None,
    redaction: Redaction = Redaction.KEYS,
    queue_budget: QueueBudget | None = None,
    log_directories: tuple[str, ...] = ("*",),
    layout: ListenLayout = CONTAINER,
    receiver_security: ReceiverSecurity | None = None,
) -> dict[str, Any]:
    """Return the configuration of `profile` as a mapping, for `render`.

    `level` is the collector's own log level (`error` hides exports that fail and are retried); `memory_mib` is the
    memory limit of its container; `ConfigContext` describes the other arguments.

    Raises:
        ConfigurationError: when a collector could not run with these arguments.
    """
    if level not in LEVELS:
        raise ConfigurationError(f"unknown log level {level!r}: one of {', '.join(LEVELS)}")
    if memory_mib < SMALLEST_MEMORY_MIB:
        raise ConfigurationError(f"a collector needs at least {SMALLEST_MEMORY_MIB} MiB, not {memory_mib}")
    try:
        release = CollectorVersion.parse(version)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    context = ConfigContext(
        profile=profile,
        version=release,
        level=level,
        memory_mib=memory_mib,
        destinations=destinations or Destinations(),
        environment=environment,
        device_id=device_id,
        redaction=redaction,
        queue_budget=queue_budget or QueueBudget(),
        log_directories=log_directories,
        layout=layout,
        receiver_security=receiver_security or ReceiverSecurity(),
    )
    _check_queue_budget(context)
    declared = collector_pipelines(context)
    pipelines = {
        pipeline.signal: {
            "receivers": _receivers(pipeline.receivers, context),
            "processors": list(pipeline.processors),
            "exporters": list(pipeline.exporters),
        }
        for pipeline in declared
    }
    if len(pipelines) != len(declared):
        raise ConfigurationError(f"profile {profile.name} has two pipelines of the same name")
    used = {
        kind: [name for pipeline in pipelines.values() for name in pipeline[kind]]
        for kind in ("receivers", "processors", "exporters")
    }
    # A connector ends one pipeline and starts another.
    connectors = [name for name in used["receivers"] if name in COMPONENTS["connectors"]]
    for kind in ("receivers", "exporters"):
        used[kind] = [name for name in used[kind] if name not in connectors]
    extensions = [*profile.extensions, *([TOKEN_EXTENSION] if context.receiver_security.token else [])]
    sections = {"extensions": extensions} | used | ({"connectors": connectors} if connectors else {})
    return {kind: _section(kind, names, context) for kind, names in sections.items()} | {
        "service": {
            "extensions": extensions,
            "telemetry": telemetry(context),
            "pipelines": pipelines,
        }
    }


def _receivers(receivers: Iterable[str], context: ConfigContext) -> list[str]:
    """Add the receiver for outside clients, and remove the log reader where there are no log folders."""
    replaced = {"otlp": ["otlp", "otlp/outside"]} if context.receiver_security.token else {}
    if not context.log_directories:
        replaced["filelog/letta"] = []
    return [receiver for name in receivers for receiver in replaced.get(name, [name])]


def _check_queue_budget(context: ConfigContext) -> None:
    budget = context.queue_budget
    needed = budget.needed_bytes(queues(context.profile))
    if needed > budget.disk_bytes:
        raise ConfigurationError(
            f"the queues of profile {context.profile.name} need {needed} bytes of disk for"
            f" {budget.outage_seconds} s at {budget.spans_per_second} spans/s"
            f" of {budget.span_bytes} bytes; the budget is {budget.disk_bytes}"
        )


def _section(kind: str, names: Iterable[str], context: ConfigContext) -> dict[str, Component]:
    known = COMPONENTS[kind]
    distinct = tuple(dict.fromkeys(names))
    if unknown := [name for name in distinct if name not in known]:
        raise ConfigurationError(
            f"profile {context.profile.name} names unknown {kind}: {', '.join(unknown)}"
            f" (known: {', '.join(known)})"
        )
    return {name: known[name](context) for name in distinct}


def render(config: Mapping[str, Any]) -> str:
    """Return `config` as YAML, in the order in which it was composed.

    The collector expands `$` in every value, so a literal one is doubled; a Reference is written unchanged.
    """
    return yaml.dump(_escaped(config), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def go_memory_limit(memory_mib: int) -> str:
    """Return GOMEMLIMIT for a collector with `memory_mib`: between the memory limiter's limit and the kernel's."""
    return f"{memory_mib * 4 // 5}MiB"


class _Dumper(yaml.SafeDumper):
    """For readability: indents lists below their key, and writes equal lists in full instead of as anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _escaped(value: Any) -> Any:
    match value:
        case Reference():
            return str(value)
        case str():
            return value.replace("$", "$$")
        case Mapping():
            return {_escaped(key): _escaped(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_escaped(inner) for inner in value]
        case _:
            return value
