"""Reads a body field by field for people, as far as it can be read, and says at which bytes that ended.

The walk of ``sink.avro.wire`` decides; this one follows the same rules and keeps what it has seen on the way. Plain
Python and bounded by the value's size, so that nothing in a message can harm the process that looks at it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal

from sink.avro.nodes import Node
from sink.avro.wire import number
from sink.errors import BadMessage

MOST_PARTS = 500
"""Values that are kept; what lies behind them is read, not kept."""
_LONGEST_TEXT = 200
_LONGEST_NUMBER = 64
"""Bytes of a decimal that is shown as a number."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WIDE = Context(prec=200)

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One value within a body: ``path`` as in ``levels[2].price``, its type, its bytes [start, end), what it says."""

    path: str
    kind: str
    start: int
    end: int
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The bytes [start, end) at which reading ended, and why; empty at the value's end where bytes are missing."""

    start: int
    end: int
    error: str


@dataclass(slots=True, kw_only=True)
class Dissection:
    """What could be read, in order, and what ended it; None where the body is well formed."""

    parts: list[Part] = field(default_factory=list)
    damage: Damage | None = None

    def span_of(self, path: str) -> tuple[int, int] | None:
        """Give the bytes of a field of the record."""
        spans = [(part.start, part.end) for part in self.parts if part.path.split(".")[0].split("[")[0] == path]
        return (spans[0][0], spans[-1][1]) if spans else None


class _Damaged(Exception):
    def __init__(self, start: int, end: int, error: str) -> None:
        super().__init__(error)
        self.damage = Damage(start=start, end=end, error=error)


def dissect(value: bytes, node: Node, start: int) -> Dissection:
    """Read the body of a value that begins at ``start`` by its writer's schema; never raises."""
    reader = _Reader(value, start)
    try:
        reader.read(node, "", start)
        if reader.at < len(value):
            left = len(value) - reader.at
            raise _Damaged(reader.at, len(value), f"{left} bytes follow the record")
    except _Damaged as stop:
        return Dissection(parts=reader.parts, damage=stop.damage)
    return Dissection(parts=reader.parts)


class _Reader:
    """A place within a value, and what was read before it."""

    def __init__(self, value: bytes, at: int) -> None:
        self.at = at
        self.parts: list[Part] = []
        self._value = value

    def read(self, node: Node, path: str, start: int) -> None:
        """Read one value; ``start`` is where it begins, the number of its union's branch included."""
        match node.type:
            case "record":
                for name, child in zip(node.names, node.children, strict=True):
                    self.read(child, f"{path}.{name}" if path else name, self.at)
            case "union":
                branch = self._index(len(node.children), path, "a union has no branch")
                self.read(node.children[branch], path, start)
            case "array" | "map":
                self._collection(node, path)
            case _:
                value = self._simple(node, path)
                if len(self.parts) < MOST_PARTS:
                    kind = f"{node.logical} ({node.type})" if node.logical else node.type
                    self.parts.append(Part(path=path, kind=kind, start=start, end=self.at, value=value))

    def _simple(self, node: Node, path: str) -> Value:
        readers: dict[str, Callable[[], Value]] = {
            "null": lambda: None,
            "boolean": lambda: self._boolean(path),
            "int": lambda: _plain(self._number(path), node),
            "long": lambda: _plain(self._number(path), node),
            "float": lambda: float(struct.unpack("<f", self._take(4, path))[0]),
            "double": lambda: float(struct.unpack("<d", self._take(8, path))[0]),
            "bytes": lambda: _binary(self._block(path), node),
            "string": lambda: self._text(path),
            "fixed": lambda: _binary(self._take(node.size, path), node),
            "enum": lambda: node.names[self._index(len(node.names), path, "an enum has no symbol")],
        }
        return readers[node.type]()

    def _number(self, path: str) -> int:
        start = self.at
        try:
            found, self.at = number(self._value, start)
        except IndexError:
            raise self._short(start, path) from None
        except BadMessage as error:
            raise _Damaged(start, min(start + 10, len(self._value)), f"{path}: {error}") from None
        return found

    def _index(self, count: int, path: str, fault: str) -> int:
        start = self.at
        index = self._number(path)
        if not 0 <= index < count:
            raise _Damaged(start, self.at, f"{path}: {fault} {index}")
        return index

    def _boolean(self, path: str) -> bool:
        (byte,) = self._take(1, path)
        if byte > 1:
            raise _Damaged(self.at - 1, self.at, f"{path}: a boolean is {byte}")
        return byte == 1

    def _block(self, path: str) -> bytes:
        start = self.at
        length = self._number(path)
        if length < 0:
            raise _Damaged(start, self.at, f"{path}: a length is negative")
        return self._take(length, path, since=start)

    def _text(self, path: str) -> str:
        raw = self._block(path)
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            start = self.at - len(raw)
            raise _Damaged(start + error.start, start + error.end, f"{path}: not UTF-8") from None
        return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."

    def _take(self, size: int, path: str, since: int | None = None) -> bytes:
        start, end = self.at, self.at + size
        if end > len(self._value):
            raise self._short(start if since is None else since, path, wanted=size)
        self.at = end
        return self._value[start:end]

    def _short(self, start: int, path: str, wanted: int = 1) -> _Damaged:
        there = len(self._value) - self.at
        what = f"{wanted:,} bytes are announced, {there:,} are there" if wanted > 1 else "the value ends here"
        return _Damaged(min(start, len(self._value)), len(self._value), f"{path}: {what}")

    def _collection(self, node: Node, path: str) -> None:
        index = 0
        while count := self._number(path):
            if count < 0:
                count = -count
                self._number(path)  # the block's size in bytes
            for _ in range(count):
                # every item takes a byte, so a huge count ends here
                if self.at >= len(self._value):
                    raise self._short(self.at, f"{path}[{index}]")
                start = self.at
                place = f"{path}[{self._text(path)!r}]" if node.type == "map" else f"{path}[{index}]"
                self.read(node.children[0], place, start)
                index += 1


def _plain(found: int, node: Node) -> Value:
    """Show a time as such where it is one."""
    factor = {"timestamp-micros": 1, "timestamp-millis": 1000}.get(node.logical or "")
    if factor is None:
        return found
    try:
        return (_EPOCH + timedelta(microseconds=found * factor)).isoformat()
    except OverflowError:
        return f"{found} (beyond the years 1 to 9999)"


def _binary(raw: bytes, node: Node) -> str:
    if node.logical == "decimal" and len(raw) <= _LONGEST_NUMBER and 0 <= node.scale <= _LONGEST_NUMBER:
        return f"{Decimal(int.from_bytes(raw, 'big', signed=True)).scaleb(-node.scale, _WIDE):f}"
    shown = raw[:_LONGEST_NUMBER].hex()
    return shown if len(raw) <= _LONGEST_NUMBER else f"{shown}... ({len(raw):,} bytes)"
