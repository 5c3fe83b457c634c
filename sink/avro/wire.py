"""Walks a body byte by byte and says whether it is exactly one well-formed value of its writer's schema.

fastavro takes what Avro forbids: negative union branches and lengths, booleans other than 0 and 1, bytes that
follow the record. Walking first keeps such bodies from it, and finds which branch each union took.
"""

from __future__ import annotations

from collections.abc import Callable

from sink.avro.nodes import Node
from sink.errors import BadMessage

Shape = tuple[int, ...]
"""The branches that a body's unions took, in the order in which they are met; array and map items do not count."""

_Step = Callable[[bytes, int, list[int]], int]
_MAX_VARINT = 10


def walker(node: Node) -> Callable[[bytes, int], Shape]:
    """Make the function that walks a value from a start position to its very end and gives the body's shape.

    The function raises BadMessage: ``decode`` for a malformed body, ``trailing_bytes`` where some bytes are left.
    """
    step = _step(node)

    def walk(value: bytes, start: int) -> Shape:
        shape: list[int] = []
        try:
            end = step(value, start, shape)
        except IndexError:
            end = len(value) + 1
        if end > len(value):
            raise BadMessage("decode", f"the body of {len(value) - start} bytes ends in the middle of a field")
        if end < len(value):
            raise BadMessage("trailing_bytes", f"{len(value) - end} bytes follow the record")
        return tuple(shape)

    return walk


def number(value: bytes, at: int) -> tuple[int, int]:
    """Read a zigzag number; gives it with the position behind it."""
    result = 0
    for count in range(_MAX_VARINT):
        byte = value[at + count]
        result |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:  # noqa: PLR2004 (the continuation bit)
            result &= 0xFFFF_FFFF_FFFF_FFFF
            return (result >> 1) ^ -(result & 1), at + count + 1
    raise BadMessage("decode", "a number is longer than ten bytes")


def _skip_number(value: bytes, at: int, _: list[int]) -> int:
    if value[at] < 0x80:  # noqa: PLR2004 (the continuation bit)
        return at + 1
    return number(value, at)[1]


def _boolean(value: bytes, at: int, _: list[int]) -> int:
    if value[at] > 1:
        raise BadMessage("decode", f"a boolean is {value[at]}")
    return at + 1


def _block(value: bytes, at: int, _: list[int]) -> int:
    length, start = number(value, at)
    if length < 0:
        raise BadMessage("decode", "a length is negative")
    return start + length


def _sized(size: int) -> _Step:
    return lambda _value, at, _shape: at + size


def _enum(symbols: int) -> _Step:
    def step(value: bytes, at: int, _: list[int]) -> int:
        index, end = number(value, at)
        if not 0 <= index < symbols:
            raise BadMessage("decode", f"an enum has no symbol {index}")
        return end

    return step


def _sequence(steps: list[_Step]) -> _Step:
    def step(value: bytes, at: int, shape: list[int]) -> int:
        for each in steps:
            at = each(value, at, shape)
        return at

    return step


def _union(branches: list[_Step]) -> _Step:
    def step(value: bytes, at: int, shape: list[int]) -> int:
        index, start = number(value, at)
        if not 0 <= index < len(branches):
            raise BadMessage("decode", f"a union has no branch {index}")
        shape.append(index)
        return branches[index](value, start, shape)

    return step


def _collection(item: _Step) -> _Step:
    def step(value: bytes, at: int, _: list[int]) -> int:
        while True:
            count, at = number(value, at)
            if count == 0:
                return at
            if count < 0:
                count, (_size, at) = -count, number(value, at)
            for _index in range(count):
                # Every item takes a byte, so a huge count ends here, at the end of the value.
                if at >= len(value):
                    raise IndexError
                at = item(value, at, [])

    return step


_SIMPLE: dict[str, _Step] = {
    "null": _sized(0),
    "boolean": _boolean,
    "int": _skip_number,
    "long": _skip_number,
    "float": _sized(4),
    "double": _sized(8),
    "bytes": _block,
    "string": _block,
}


def _step(node: Node) -> _Step:
    simple = _sized(node.size) if node.type == "fixed" else _SIMPLE.get(node.type)
    if simple is not None:
        return simple
    inner = [_step(child) for child in node.children]
    match node.type:
        case "enum":
            return _enum(node.size)
        case "array":
            return _collection(inner[0])
        case "map":
            return _collection(_sequence([_block, inner[0]]))
        case "union":
            return _union(inner)
    return _sequence(inner)
