"""Steps on a terminal and in a log."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from sink.cli.steps import steps_on


def test_in_a_log_each_step_has_a_line_when_it_begins_and_one_when_it_is_done() -> None:
    console = Console(file=io.StringIO())
    with steps_on(console) as steps:
        with steps.step("topics") as tell:
            tell("1 of 4")
            tell("[all] there")
        with steps.step("look"):
            pass
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined] # the file given above
    assert [re.sub(r"[0-9.]+ s", "0 s", line) for line in lines] == [
        "topics ...",
        "topics: [all] there (0 s)",
        "look ...",
        "look: done (0 s)",
    ]


def fail_in_the_second_step(console: Console) -> None:
    with steps_on(console) as steps:
        with steps.step("[fine]") as tell:
            tell("[done]")
        with steps.step("bad"):
            raise ValueError("broken")


def test_on_a_terminal_a_failed_step_says_so() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with pytest.raises(ValueError, match="broken"):
        fail_in_the_second_step(console)
    shown = console.file.getvalue()  # type: ignore[attr-defined] # the file given above
    assert "✓" in shown
    assert "[fine]: [done]" in shown
    assert re.search(r"bad .*failed", shown)
