"""What ClickHouse's HTTP server adds to the Native format that its engine writes.

The engine writes blocks of revision 0. A client that names its protocol version (`client_protocol_version`) gets
each block with a header, and from a later version on with a byte after each column's type; with `compress=1` it
gets frames. To find where a column ends, its type has to be known: JSON, Dynamic, Variant and aggregate states are
not, and refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import lru_cache

import lz4.block  # type: ignore[import-untyped]
from clickhouse_cityhash.cityhash import CityHash128  # type: ignore[import-untyped]

WITH_COLUMN_BYTE = 54454
"""Protocol version from which a byte after each column's type says whether its serialization is special."""

_BLOCK_HEADER = b"\x01\x00\x02" + struct.pack("<i", -1) + b"\x00"

_NO_COMPRESSION, _LZ4 = 0x02, 0x82
_FRAME = struct.Struct("<BII")
_FRAME_CHECKSUM = 16

_WIDTHS = {
    **dict.fromkeys(("UInt8", "Int8", "Bool", "Enum8", "Nothing"), 1),
    **dict.fromkeys(("UInt16", "Int16", "Date", "Enum16", "BFloat16"), 2),
    **dict.fromkeys(("UInt32", "Int32", "Float32", "Date32", "DateTime", "IPv4", "Decimal32"), 4),
    **dict.fromkeys(("UInt64", "Int64", "Float64", "DateTime64", "Decimal64", "Time64"), 8),
    **dict.fromkeys(("UInt128", "Int128", "UUID", "IPv6", "Decimal128"), 16),
    **dict.fromkeys(("UInt256", "Int256", "Decimal256"), 32),
}


class UnsupportedError(Exception):
    """A type or compression that ClickHouse knows and this stand-in does not."""


def for_revision(data: bytes, revision: int) -> bytes:
    """Return blocks of revision 0 as a client of that protocol version expects them."""
    if revision == 0:
        return data
    blocks = _Blocks(data)
    written: list[bytes] = []
    while not blocks.over:
        written.append(_BLOCK_HEADER)
        for piece, ends_a_type in blocks.block():
            written.append(piece)
            if ends_a_type and revision >= WITH_COLUMN_BYTE:
                written.append(b"\x00")
    return b"".join(written)


def compressed(data: bytes) -> bytes:
    """Return `data` in one of ClickHouse's frames, uncompressed: clients check only the frame's checksum."""
    frame = _FRAME.pack(_NO_COMPRESSION, _FRAME.size + len(data), len(data)) + data
    return _checksum(frame) + frame


def decompressed(data: bytes) -> bytes:
    """Return the content of consecutive ClickHouse frames. Raises ValueError for a damaged one."""
    found = []
    at = 0
    while at < len(data):
        start = at + _FRAME_CHECKSUM
        if len(data) < start + _FRAME.size:
            raise ValueError("the last frame is cut off")
        method, size, full_size = _FRAME.unpack_from(data, start)
        frame = data[start : start + size]
        if len(frame) < size or _checksum(frame) != data[at:start]:
            raise ValueError("a frame's checksum is wrong")
        packed = frame[_FRAME.size :]
        if method == _LZ4:
            packed = lz4.block.decompress(packed, uncompressed_size=full_size)
        elif method != _NO_COMPRESSION:
            raise UnsupportedError(f"compression method {method:#x}")
        found.append(packed)
        at = start + size
    return b"".join(found)


def _checksum(frame: bytes) -> bytes:
    digest: int = CityHash128(frame)
    low, high = digest >> 64, digest & (1 << 64) - 1
    return struct.pack("<QQ", low, high)


class _Blocks:
    """Reads blocks of revision 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def over(self) -> bool:
        return self._at >= len(self._data)

    def block(self) -> Iterator[tuple[bytes, bool]]:
        """Yield one block in pieces, each with whether it ends with a column's type."""
        start = self._at
        columns, rows = self._number(), self._number()
        for _ in range(columns):
            self._text()
            kind = self._text().decode()
            yield self._data[start : self._at], True
            start = self._at
            if rows:
                self._prefix(kind)
                self._values(kind, rows)
        yield self._data[start : self._at], False

    def _number(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _text(self) -> bytes:
        size = self._number()
        self._at += size
        return self._data[self._at - size : self._at]

    def _fixed(self) -> int:
        self._at += 8
        return int.from_bytes(self._data[self._at - 8 : self._at], "little")

    def _prefix(self, kind: str) -> None:
        """Skip what precedes a column's values: the version of each dictionary in it."""
        name, parts = _parsed(kind)
        if name == "LowCardinality":
            self._at += 8
        else:
            for part in parts:
                self._prefix(part)

    def _values(self, kind: str, rows: int) -> None:
        name, parts = _parsed(kind)
        match name:
            case "String":
                for _ in range(rows):
                    self._text()
            case "Nullable":
                self._at += rows
                self._values(parts[0], rows)
            case "Tuple":
                for part in parts:
                    self._values(part, rows)
            case "Array" | "Map" | "Nested":
                self._at += 8 * (rows - 1)
                inner = self._fixed()
                for part in parts:
                    self._values(part, inner)
            case "LowCardinality":
                self._dictionary(parts[0], rows)
            case _:
                self._at += _width(kind, name) * rows

    def _dictionary(self, kind: str, rows: int) -> None:
        if not rows:
            return
        width = 1 << (self._fixed() & 0xFF)
        name, parts = _parsed(kind)
        keys = self._fixed()
        self._values(parts[0] if name == "Nullable" else kind, keys)
        indexes = self._fixed()
        self._at += indexes * width


def _width(kind: str, name: str) -> int:
    if name == "FixedString":
        return int(kind.removeprefix("FixedString(").removesuffix(")"))
    if name == "Decimal":
        digits = int(re.findall(r"\d+", kind)[0])
        return next(width for limit, width in ((9, 4), (18, 8), (38, 16), (76, 32)) if digits <= limit)
    if name.startswith("Interval"):
        return 8
    if name not in _WIDTHS:
        raise UnsupportedError(f"type {kind}")
    return _WIDTHS[name]


@lru_cache(maxsize=1024)
def _parsed(kind: str) -> tuple[str, tuple[str, ...]]:
    """Return a type's name, and the types of its parts."""
    name, _, inside = kind.partition("(")
    inside = inside.removesuffix(")")
    match name:
        case "Array" | "Nullable" | "LowCardinality":
            return name, (inside,)
        case "Map":
            return name, _split(inside)
        case "SimpleAggregateFunction":
            return _parsed(_split(inside)[1])
        case "Tuple" | "Nested":
            return name, tuple(_without_name(part) for part in _split(inside))
        case _:
            return name, ()


def _without_name(part: str) -> str:
    found = re.match(r"(?:`(?:[^`\\]|\\.)*`|\w+) (?=\w)", part)
    return part[found.end() :] if found else part


def _split(inside: str) -> tuple[str, ...]:
    """Split at the commas that are neither in brackets nor in quotes."""
    parts = [""]
    depth = 0
    for piece in re.findall(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|.", inside, re.DOTALL):
        if piece == "," and not depth:
            parts.append("")
            continue
        depth += {"(": 1, ")": -1}.get(piece, 0)
        parts[-1] += piece
    return tuple(part.strip() for part in parts)
