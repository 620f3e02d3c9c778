"""From a profile to a whole configuration, and from that to the text that the collector reads."""

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
from otel.pipelines import queues, routes
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
    """Give the configuration of `profile` as a mapping, for `render`.

    `level` is the collector's own log level (at `error` it hides that an export failed and is tried
    again), `memory_mib` the memory limit of its container; `ConfigContext` says what the others mean. What
    cannot work raises ConfigurationError.
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
    _refuse_a_backlog_that_does_not_fit(context)
    made = routes(context)
    pipelines = {
        pipeline.signal: {
            "receivers": _received(pipeline.receivers, context),
            "processors": list(pipeline.processors),
            "exporters": list(pipeline.exporters),
        }
        for pipeline in made
    }
    if len(pipelines) != len(made):
        raise ConfigurationError(f"profile {profile.name} has two pipelines of one name")
    used = {
        kind: [name for pipeline in pipelines.values() for name in pipeline[kind]]
        for kind in ("receivers", "processors", "exporters")
    }
    # A connector ends one pipeline and starts another.
    connectors = [name for name in used["receivers"] if name in COMPONENTS["connectors"]]
    for kind in ("receivers", "exporters"):
        used[kind] = [name for name in used[kind] if name not in connectors]
    extensions = [*profile.extensions, *([TOKEN_EXTENSION] if context.receiver_security.token else [])]
    parts = {"extensions": extensions} | used | ({"connectors": connectors} if connectors else {})
    return {kind: _section(kind, names, context) for kind, names in parts.items()} | {
        "service": {
            "extensions": extensions,
            "telemetry": telemetry(context),
            "pipelines": pipelines,
        }
    }


def _received(receivers: Iterable[str], context: ConfigContext) -> list[str]:
    """Give those from outside the servers' pipelines, and leave out a reader of logs that has none to read."""
    beside = {"otlp": ["otlp", "otlp/outside"]} if context.receiver_security.token else {}
    if not context.log_directories:
        beside["filelog/letta"] = []
    return [one for name in receivers for one in beside.get(name, [name])]


def _refuse_a_backlog_that_does_not_fit(context: ConfigContext) -> None:
    queue_budget = context.queue_budget
    needed = queue_budget.needed_bytes(queues(context.profile))
    if needed > queue_budget.disk_bytes:
        raise ConfigurationError(
            f"the queues of profile {context.profile.name} need {needed} bytes of disk for"
            f" {queue_budget.outage_seconds} s at {queue_budget.spans_per_second} spans/s"
            f" of {queue_budget.span_bytes} bytes; the budget is {queue_budget.disk_bytes}"
        )


def _section(kind: str, names: Iterable[str], context: ConfigContext) -> dict[str, Component]:
    known = COMPONENTS[kind]
    asked = tuple(dict.fromkeys(names))
    if unknown := [name for name in asked if name not in known]:
        raise ConfigurationError(
            f"profile {context.profile.name} names unknown {kind}: {', '.join(unknown)}"
            f" (known: {', '.join(known)})"
        )
    return {name: known[name](context) for name in asked}


def render(config: Mapping[str, Any]) -> str:
    """Give `config` as YAML, in the order it was composed in.

    The collector expands `$` in every value, so a literal one is doubled; only a Reference is left alone.
    """
    return yaml.dump(_escaped(config), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def go_memory_limit(memory_mib: int) -> str:
    """GOMEMLIMIT of a collector with `memory_mib`: above the limiter's limit, below the kernel's."""
    return f"{memory_mib * 4 // 5}MiB"


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key, and equal lists written out instead of as anchors, for readers."""

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
