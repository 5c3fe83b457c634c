"""Every command in a page exists, with these options; ``python -m tests.documented`` lists them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import typer
import typer.main
from click import Context

from benchmarks.__main__ import app as benchmarks
from sink.cli import app
from tests.chaos.__main__ import chaos
from tests.documented import ROOT, Documented, documented

COMMANDS = documented()
TARGETS = set(re.findall(r"^([a-z.][\w./-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
OTHERS = {".", "alembic", "curl", "docker", "helm", "kafka-consumer-groups", "kubectl", "pip", "promtool"}
"""Programs of others. What can run here of them, tests/acceptance runs; the rest is only listed."""


def understood(words: tuple[str, ...], root: Any, *, typed: bool) -> None:
    """Fail unless the command line can be read; a mention in a sentence may leave arguments out."""
    command, name, rest = root, "", list(words)
    context = Context(root)
    while rest and (inner := getattr(command, "get_command", lambda *_: None)(context, rest[0])) is not None:
        command, name = inner, f"{name} {rest.pop(0)}"
        context = Context(command, info_name=name, parent=context)
    if typed:
        command.make_context(name, rest)
        return
    unread = [word for word in rest if not word.startswith("-")]
    assert not hasattr(command, "commands") or not unread, f"there is no command {' '.join(words)}"
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= known


def made(words: tuple[str, ...], *, typed: bool) -> None:
    del typed
    targets = [word for word in words if "=" not in word]
    assert set(targets) <= TARGETS, f"make knows {sorted(TARGETS)}"


def module(words: tuple[str, ...], *, typed: bool) -> None:
    rounds = typer.Typer()
    rounds.command()(chaos)
    roots = {"benchmarks": benchmarks, "tests.chaos": rounds}
    assert words[0] == "-m"
    if words[1:] == ("deploy.grafana.build",):
        return  # takes no arguments; its test calls it
    understood(words[2:], typer.main.get_command(roots[words[1]]), typed=typed)


CHECKS: dict[str, Callable[..., None]] = {
    "sink": lambda words, typed: understood(words, typer.main.get_command(app), typed=typed),
    "make": made,
    "python": module,
}


def test_there_are_commands_of_every_kind() -> None:
    assert {one.words[0] for one in COMMANDS} >= {"sink", "make", "python", "alembic"}
    assert any(one.typed for one in COMMANDS)


@pytest.mark.parametrize("one", [one for one in COMMANDS if one.words[0] in CHECKS], ids=str)
def test_a_documented_command_can_be_read_by_what_it_calls(one: Documented) -> None:
    CHECKS[one.words[0]](one.words[1:], typed=one.typed)


def test_what_is_not_ours_to_check_is_known_by_name() -> None:
    """A new program in a page needs a check of its own or a place in the list."""
    assert {one.words[0] for one in COMMANDS} - set(CHECKS) <= OTHERS
