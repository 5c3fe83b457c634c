"""Every command explains itself and stands in docs/cli.md."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from typer.cli import get_docs_for_click
from typer.testing import CliRunner

from sink.cli import app

PAGE = Path(__file__).parents[2] / "docs/cli.md"
OF_TYPER = {"help", "install_completion", "show_completion"}


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Give a command and everything below it, with the words that call it."""
    yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{name} {word}")


ROOT = typer.main.get_command(app)
ALL = dict(commands(ROOT, "sink"))


def test_there_are_commands() -> None:
    assert "sink config" in ALL


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_every_parameter_has_help(name: str) -> None:
    command = ALL[name]
    assert command.help, name
    unexplained = [one.name for one in command.params if one.name not in OF_TYPER and not getattr(one, "help", None)]
    assert unexplained == []


@pytest.mark.parametrize("name", [name for name, one in ALL.items() if not getattr(one, "commands", None)])
def test_every_help_has_examples_and_is_markdown_that_a_terminal_shows(name: str) -> None:
    told: str = ALL[name].help
    assert re.findall(rf"^- `{name}\b", told, re.MULTILINE)
    assert "``" not in told
    assert "<" not in re.sub("`[^`]*`", "", told), "Markdown takes it for a tag and leaves it out"
    shown = CliRunner().invoke(app, [*name.split()[1:], "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert f"• {name}" in shown
    assert "`" not in shown
    assert "[[" not in shown


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("sink re", {"replay", "rewind"}),
        ("sink quarantine e", {"export"}),
        ("sink replay --dr", {"--dry-run"}),
        ("sink verify t", {"trades"}),
        ("sink run trades f", {"funding"}),
    ],
)
def test_a_shell_completes_commands_options_and_datasets(words: str, offered: set[str]) -> None:
    asked = {"_SINK_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    told = CliRunner().invoke(app, [], env=asked, prog_name="sink").output
    assert set(told.split()) == offered


def test_the_page_of_commands_is_what_the_code_says() -> None:
    expected = get_docs_for_click(obj=ROOT, ctx=typer.Context(ROOT), name="sink", title="Commands")
    # Typer's command escapes what Typer's function does not
    page = html.unescape(PAGE.read_text(encoding="utf-8"))
    assert page.strip() == html.unescape(expected).strip(), "write it anew with: make docs"
