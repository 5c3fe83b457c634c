"""SQL is composed of identifiers, never of strings: what is put together otherwise is listed here, with its reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SINK = Path(__file__).parents[2] / "sink"
ALLOWED = {
    "ledger.py": "the counters' column names, constants of the module",
    "db/columnstore.py": "options of ALTER TABLE take no parameters; tables, columns and intervals are the models'",
    "db/hypertables.py": "migrations as text, frozen in the script; tables and intervals are the models'",
    "db/preflight.py": "cures that a person reads and runs",
    "inspection/check_database.py": "cures that a person reads and runs",
    "cli/verified.py": "a cure that a person reads and runs",
}
_SQL = re.compile(
    r"\b(SELECT|INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|TRUNCATE|COPY\s+\S+\s+(FROM|TO)|SET\s+LOCAL"
    r"|(CREATE|ALTER|DROP)\s+(TABLE|INDEX|SCHEMA|ROLE|DATABASE|FUNCTION|SYSTEM|EXTENSION))\b"
)
_RUNS = frozenset({"execute", "executemany", "copy", "text", "SQL", "exec_driver_sql", "scalar", "scalars"})


def composed(tree: ast.AST) -> Iterator[int]:
    """Give the lines where a string that looks like SQL, or is handed to a database, is put together."""
    for node in ast.walk(tree):
        looks_like_sql = _is_composed(node) and _SQL.search(_constants(node))
        if looks_like_sql or (isinstance(node, ast.Call) and _runs_composed(node)):
            yield node.lineno  # type: ignore[attr-defined] # expressions have it


def _runs_composed(call: ast.Call) -> bool:
    return _name(call.func) in _RUNS and any(map(_is_composed, call.args[:1]))


def _is_composed(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr(values=values):
            return any(isinstance(value, ast.FormattedValue) for value in values)
        case ast.BinOp(left=left, op=ast.Mod() | ast.Add()):
            return isinstance(left, ast.Constant | ast.JoinedStr) and isinstance(getattr(left, "value", ""), str)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="format" | "join")):
            return True
    return False


def _constants(node: ast.AST) -> str:
    return " ".join(
        inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
    )


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


@pytest.mark.parametrize(
    "code",
    [
        'f"SELECT * FROM {table}"',
        '"DELETE FROM %s" % table',
        '"INSERT INTO " + table',
        '"ALTER TABLE {}".format(table)',
        'cursor.execute(f"{statement}")',
        'sql.SQL(f"{column}")',
        'text("a" + column)',
    ],
)
def test_strings_put_together_are_found(code: str) -> None:
    assert list(composed(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        'cursor.execute("SELECT * FROM trades WHERE symbol = %s", [symbol])',
        'sql.SQL("DELETE FROM {}").format(sql.Identifier(table))',
        'f"{count} rows selected"',
    ],
)
def test_composition_and_parameters_are_not(code: str) -> None:
    assert not list(composed(ast.parse(code)))


def test_no_sql_is_put_together_of_strings() -> None:
    found = {
        str(path.relative_to(SINK)): lines
        for path in sorted(SINK.rglob("*.py"))
        if (lines := list(composed(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert {path: lines for path, lines in found.items() if path not in ALLOWED} == {}
    assert set(ALLOWED) <= set(found), "an entry that allows nothing any more"
