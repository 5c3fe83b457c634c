"""The commands that README and docs/ tell their readers to type: ``python -m tests.documented`` lists them."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
GENERATED = {"cli.md"}
"""Pages whose commands come from the code itself."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_TYPED = {"sh", "bash", "console"}
"""Languages of blocks that are meant to be typed."""
_SPAN = re.compile(r"`([^`]+)`")
_MENTIONED = ("sink", "make", "alembic", "python -m", "docker", "helm", "kubectl", "promtool")
"""How a span of code within a sentence begins that is a command and not a name."""
_INDENTED = re.compile(rf"^    ((?:{'|'.join(_MENTIONED)}) .*)", re.MULTILINE)
_ASSIGNMENT = re.compile(r"[A-Z_]+=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """One command without its settings and its comment, and the pages that have it."""

    words: tuple[str, ...]
    typed: bool
    """Whether it stands in a block that is meant to be typed, not within a sentence."""
    pages: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.words) + ("" if self.typed else " (mentioned)")


def documented() -> list[Documented]:
    """Read the commands of all pages, in the order in which they come."""
    folders = [(ROOT / name).rglob("*.md") for name in ("docs", "deploy")]
    pages = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(page for folder in folders for page in folder)])
    found: dict[tuple[tuple[str, ...], bool], list[str]] = defaultdict(list)
    for page in pages:
        if page.name not in GENERATED:
            text = page.read_text(encoding="utf-8")
            for key in _of(text):
                found[key].append(str(page.relative_to(ROOT)))
    return [
        Documented(words=words, typed=typed, pages=tuple(dict.fromkeys(names)))
        for (words, typed), names in found.items()
    ]


def _of(text: str) -> Iterator[tuple[tuple[str, ...], bool]]:
    for language, block in _FENCE.findall(text):
        # what ends with a backslash goes on in the next line
        for line in block.replace("\\\n", "  ").splitlines() if language in _TYPED else ():
            for words in _commands(line):
                yield words, True
    prose = _FENCE.sub("", text)
    for line in _INDENTED.findall(prose):
        for words in _commands(line):
            yield words, True
    for span in _SPAN.findall(prose):
        code = " ".join(span.split())
        if code.startswith(tuple(f"{word} " for word in _MENTIONED)):
            for words in _commands(code):
                yield words, False


def _commands(line: str) -> Iterator[tuple[str, ...]]:
    """Split a line at ``&&``, ``;`` and ``|``; leave out its comment and the settings before each command."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("&;|()<>"):
            if command:
                yield tuple(command)
            command = []
        elif command or not _ASSIGNMENT.match(word):
            command.append(word)


if __name__ == "__main__":
    for one in documented():
        print(f"{one}    {', '.join(one.pages)}")  # noqa: T201 (it is for people)
