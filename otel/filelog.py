"""Reads the server's log files: one JSON object per line, turned into records with time, severity and trace.

The server writes the ids of trace and span as decimal numbers in text (`dd.trace_id`, 128 bit, and `dd.span_id`,
64 bit); OTLP uses hexadecimal. None of the collector's parsers converts 128 bits, but its expressions can.
"""

from __future__ import annotations

from otel.config_context import Component, ConfigContext
from otel.versions import Feature

SERVICE_NAME = "letta-server"
"""The service name in the server's traces; log lines from its files get the same."""


def filelog(context: ConfigContext) -> Component:
    """Read one folder per replica. Offsets are stored, so a restart neither repeats nor skips lines.

    Rotated files are read too (they are identified by their first bytes, not by name), because a server may rotate
    while the collector is down. A line that is not JSON is passed on unchanged.
    """
    quiet = "send_quiet" if context.version.has(Feature.QUIET_OPERATORS) else "send"
    return {
        "include": [
            f"{context.layout.log_directory}/{directory}/Letta.log*" for directory in context.log_directories
        ],
        "include_file_path": True,
        "storage": "file_storage",
        # Otherwise lines from before the first start are skipped.
        "start_at": "beginning",
        "max_log_size": "4MiB",
        # Otherwise a batch that the memory limiter refuses is dropped.
        "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
        "resource": {"service.name": SERVICE_NAME},
        "operators": [dict(operator, on_error=quiet) for operator in _OPERATORS],
    }


def _hexadecimal(field: str, digits: int) -> str:
    """Return an expression that converts decimal text in `field` to `digits` hexadecimal digits (a multiple of 8).

    The number is carried in limbs of 32 bits, the lowest first. For each group of 8 decimal digits, every limb is
    multiplied by 100,000,000 and takes the carry of the one below; nothing exceeds 63 bits.
    """
    count = digits // 8
    width = 40 if count == 4 else 24
    steps = []
    carried = "int(padded[#:# + 8])"
    for limb in range(count):
        product = f"(#acc[{limb}] * 100000000 + {carried})"
        steps.append(f"bitand({product}, 4294967295)")
        carried = f"bitushr({product}, 32)"
    return (
        f'EXPR(let padded = repeat("0", {width} - len({field})) + {field};'
        f" let limbs = reduce({list(range(0, width, 8))}, [{', '.join(steps)}], {[0] * count});"
        f" join(map(0..{digits - 1},"
        f' split("0123456789abcdef", "")[bitand(bitushr(limbs[{count - 1} - int(# / 8)], 28 - 4 * (# % 8)), 15)]),'
        ' ""))'
    )


_TRACE = 'attributes["dd.trace_id"]'
_SPAN = 'attributes["dd.span_id"]'
_TRACE_HEX = 'attributes["hex.trace_id"]'
_SPAN_HEX = 'attributes["hex.span_id"]'
_IN_A_SPAN = f'({_TRACE} ?? "") matches "^[0-9]{{1,39}}$" and ({_SPAN} ?? "") matches "^[0-9]{{1,20}}$"'


def _move(source: str, target: str) -> Component:
    present = source.replace(".exception.", ".exception?.")
    return {"type": "move", "if": f"{present} != nil", "from": source, "to": target}


def _remove(field: str) -> Component:
    return {"type": "remove", "if": f"{field} != nil", "field": field}


_OPERATORS: tuple[Component, ...] = (
    {"type": "json_parser", "if": 'body startsWith "{"', "parse_from": "body", "parse_to": "attributes"},
    {
        "type": "time_parser",
        "if": "attributes.timestamp != nil",
        "parse_from": "attributes.timestamp",
        "layout_type": "gotime",
        "layout": "2006-01-02T15:04:05.999999Z07:00",
    },
    {
        "type": "severity_parser",
        "if": "attributes.level != nil",
        "parse_from": "attributes.level",
        # Python's names; the others are the parser's own.
        "mapping": {"warn": "WARNING", "fatal": "CRITICAL"},
    },
    {"type": "add", "if": _IN_A_SPAN, "field": _TRACE_HEX, "value": _hexadecimal(_TRACE, 32)},
    {"type": "add", "if": _IN_A_SPAN, "field": _SPAN_HEX, "value": _hexadecimal(_SPAN, 16)},
    {
        "type": "trace_parser",
        "if": f"{_TRACE_HEX} != nil and {_SPAN_HEX} != nil",
        "trace_id": {"parse_from": _TRACE_HEX},
        "span_id": {"parse_from": _SPAN_HEX},
    },
    # Flat, so that redaction reaches them, and with OpenTelemetry's attribute names.
    _move("attributes.exception.type", 'attributes["exception.type"]'),
    _move("attributes.exception.message", 'attributes["exception.message"]'),
    _move("attributes.exception.stacktrace", 'attributes["exception.stacktrace"]'),
    _move("attributes.message", "body"),
    # These have become fields of the record.
    *map(
        _remove,
        (_TRACE_HEX, _SPAN_HEX, _TRACE, _SPAN, "attributes.exception", "attributes.timestamp", "attributes.level"),
    ),
)
