"""A writer's schema as a tree without names, small enough and shallow enough to be walked safely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sink.avro.schemas import full_name
from sink.errors import BadMessage

MAX_DEPTH = 32
MAX_NODES = 2_000
PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One type: a primitive, ``fixed``, ``enum``, ``array``, ``map``, ``record`` or ``union``.

    ``children`` are the fields of a record (``names`` beside them), the branches of a union, or the one type of the
    items of an array or the values of a map.
    """

    type: str
    name: str = ""
    logical: str | None = None
    scale: int = 0
    size: int = 0
    names: tuple[str, ...] = ()
    children: tuple[Node, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether a value has a fixed number of parts: no array and no map within."""
        return self.type not in {"array", "map"} and all(child.plain for child in self.children)

    @property
    def has_union(self) -> bool:
        """Whether there is a union in it."""
        return self.type == "union" or any(child.has_union for child in self.children)

    @property
    def empty(self) -> bool:
        """Whether a value takes no bytes at all."""
        if self.type == "record":
            return all(child.empty for child in self.children)
        return self.type == "null" or (self.type == "fixed" and self.size == 0)


def tree_of(schema: Any) -> Node:
    """Expand a schema's JSON form.

    Raises BadMessage (``wrong_record``) for what a hostile or mistaken schema can be: recursive (thousands of levels
    end the process), very deep or large once expanded, with collections of values that take no bytes (five bytes
    could ask for twenty million items), or plainly broken.
    """
    try:
        return _Expansion().node(schema, "", 0)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refusal(f"is no valid Avro schema ({type(error).__name__}: {error})") from error


def _refusal(why: str) -> BadMessage:
    return BadMessage("wrong_record", f"the writer's schema {why}")


class _Expansion:
    """One walk through a schema: the types named so far, those still open, and the nodes made."""

    def __init__(self) -> None:
        self._named: dict[str, tuple[Mapping[str, Any], str]] = {}
        self._open: set[str] = set()
        self._made = 0

    def node(self, schema: Any, space: str, depth: int) -> Node:
        self._made += 1
        if depth > MAX_DEPTH:
            raise _refusal(f"is nested more than {MAX_DEPTH} levels deep")
        if self._made > MAX_NODES:
            raise _refusal(f"holds more than {MAX_NODES} types once expanded")
        if isinstance(schema, list):
            return Node(type="union", children=tuple(self.node(branch, space, depth + 1) for branch in schema))
        if isinstance(schema, str):
            return Node(type=schema) if schema in PRIMITIVES else self._reference(schema, space, depth)
        return self._described(schema, space, depth)

    def _reference(self, name: str, space: str, depth: int) -> Node:
        full = name if "." in name or not space or f"{space}.{name}" not in self._named else f"{space}.{name}"
        if full in self._open:
            raise _refusal(f"is recursive: {full} contains itself")
        if full not in self._named:
            raise _refusal(f"names an unknown type {full}")
        schema, its_space = self._named[full]
        return self._described(schema, its_space, depth)

    def _described(self, schema: Mapping[str, Any], space: str, depth: int) -> Node:
        kind = schema["type"]
        if isinstance(kind, (list, dict)):
            return self.node(kind, space, depth + 1)
        if kind in {"record", "error", "enum", "fixed"}:
            return self._named_type(schema, space, depth)
        if kind in {"array", "map"}:
            items = self.node(schema["items" if kind == "array" else "values"], space, depth + 1)
            if kind == "array" and items.empty:
                raise _refusal("holds an array whose items take no bytes")
            return Node(type=kind, children=(items,))
        if kind in PRIMITIVES:
            return Node(type=kind, logical=schema.get("logicalType"), scale=int(schema.get("scale", 0)))
        return self._reference(kind, space, depth)

    def _named_type(self, schema: Mapping[str, Any], space: str, depth: int) -> Node:
        name = full_name(dict(schema), space)
        self._named[name] = (schema, space)
        if schema["type"] == "enum":
            return Node(type="enum", name=name, names=tuple(schema["symbols"]), size=len(schema["symbols"]))
        if schema["type"] == "fixed":
            size, scale = schema["size"], int(schema.get("scale", 0))
            if type(size) is not int or size < 0:
                # a negative one would walk backwards through the body, and in an array without end
                raise _refusal("holds a fixed whose size is no whole number of bytes")
            return Node(type="fixed", name=name, size=size, scale=scale, logical=schema.get("logicalType"))
        self._open.add(name)
        inner = name.rpartition(".")[0]
        children = tuple(self.node(field["type"], inner, depth + 1) for field in schema["fields"])
        self._open.discard(name)
        return Node(
            type="record", name=name, names=tuple(field["name"] for field in schema["fields"]), children=children
        )
