"""Lay out the calls that Alembic generates the way ruff would, so that no formatter need be installed."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Sequence

WIDTH = 120
INDENT = "    "


def laid_out(generated: str | None) -> str:
    """Give the body of a generated function, indented and formatted; ``pass`` where there is nothing to do."""
    statements = ast.parse(textwrap.dedent(f"{INDENT}{generated or 'pass'}")).body
    return "\n".join(_statement(statement) for statement in statements)


def _statement(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr):
        return INDENT + _expression(statement.value, depth=1, before=len(INDENT), after=0)
    return textwrap.indent(ast.unparse(statement), INDENT)


def _flat(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return repr(text) if '"' in text and "'" not in text else json.dumps(text, ensure_ascii=False)
        case ast.Call():
            return f"{_flat(node.func)}({', '.join(_flat_argument(part) for part in _arguments(node))})"
        case ast.List(elts=items):
            return f"[{', '.join(_flat(item) for item in items)}]"
        case ast.Attribute(value=value, attr=name):
            return f"{_flat(value)}.{name}"
        case _:
            return ast.unparse(node)


def _arguments(call: ast.Call) -> list[ast.expr | ast.keyword]:
    return [*call.args, *call.keywords]


def _flat_argument(part: ast.expr | ast.keyword) -> str:
    if isinstance(part, ast.keyword):
        return f"{part.arg}={_flat(part.value)}" if part.arg else f"**{_flat(part.value)}"
    return _flat(part)


def _expression(node: ast.expr, *, depth: int, before: int, after: int) -> str:
    """Write one expression that starts at column ``before`` and has ``after`` characters behind it on its last line."""
    flat = _flat(node)
    if before + len(flat) + after <= WIDTH:
        return flat
    match node:
        case ast.Call() if arguments := _arguments(node):
            return f"{_flat(node.func)}({_parts(arguments, depth)}\n{INDENT * depth})"
        case ast.List(elts=items) if items:
            return f"[{_parts(items, depth)}\n{INDENT * depth}]"
        case ast.Constant(value=str(text)):
            return f"\n{INDENT * depth}".join(json.dumps(piece, ensure_ascii=False) for piece in _pieces(text, depth))
        case _:
            return flat


def _parts(parts: Sequence[ast.expr | ast.keyword], depth: int) -> str:
    """Write arguments inside brackets: all on one indented line where they fit, otherwise one a line."""
    inner = INDENT * (depth + 1)
    one_line = ", ".join(_flat_argument(part) for part in parts)
    if len(inner) + len(one_line) <= WIDTH:
        return f"\n{inner}{one_line}"
    comma = "" if len(parts) == 1 and isinstance(parts[0], ast.Constant) else ","
    return "".join(f"\n{inner}{_argument(part, depth + 1)}{comma}" for part in parts)


def _argument(part: ast.expr | ast.keyword, depth: int) -> str:
    name = f"{part.arg}=" if isinstance(part, ast.keyword) else ""
    value = part.value if isinstance(part, ast.keyword) else part
    return name + _expression(value, depth=depth, before=len(INDENT) * depth + len(name), after=1)


def _pieces(text: str, depth: int) -> list[str]:
    """Cut a long string after commas, or at any space where it has none; a piece keeps the space before it."""
    width = WIDTH - len(INDENT) * depth - len('""')
    pieces = [""]
    for word in re.split("(?<=,) " if ", " in text else " ", text):
        joined = f"{pieces[-1]} {word}" if pieces != [""] else word
        if len(json.dumps(joined, ensure_ascii=False)) - len('""') <= width:
            pieces[-1] = joined
        else:
            pieces.append(f" {word}")
    return pieces
