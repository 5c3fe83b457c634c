"""What reads time: timers take the monotonic clock, and what is late or in the future is judged by the database's."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sink

ROOT = Path(sink.__file__).parent
ON_THE_WAY = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.py"), *ROOT.glob("kafka/*.py"), *ROOT.glob("avro/*.py"), *ROOT.glob("db/*.py"))
    # stamps of log lines; the repository's, in the caller's own process; `sink check` measures the clock's skew
    if path.name not in {"logs.py", "values.py", "facts.py"}
)
WALL_CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime", "ctime"}
OWNERS = {"datetime", "date", "time"}


def wall_clocks(source: str) -> list[str]:
    """List the calls that ask this host what time it is."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        ast.unparse(call)
        for call in calls
        if isinstance(call, ast.Attribute)
        and call.attr in WALL_CLOCKS
        and ast.unparse(call.value).rpartition(".")[2] in OWNERS
    ]


@pytest.mark.parametrize("module", ON_THE_WAY)
def test_fault_44_nothing_on_the_way_of_a_message_asks_this_host_what_time_it_is(module: str) -> None:
    """A clock set by hand, by a time server or for daylight saving changes no row and no time-out."""
    assert wall_clocks((ROOT / module).read_text()) == []


def test_a_wall_clock_is_found() -> None:
    assert wall_clocks("import time\nx = time.time()\ny = datetime.datetime.now(UTC)\nz = time.monotonic()") == [
        "time.time",
        "datetime.datetime.now",
    ]
