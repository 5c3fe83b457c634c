"""Runs a command and writes what it shows as an SVG picture, colours included: pictures in the docs are of real runs.

python docs/picture.py docs/pictures/status.svg sink status --once
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sink.cli.picture import drawing

WIDTH = 132
"""Characters in a line of the picture."""


def picture(command: list[str], shown: str) -> str:
    """Draw the terminal of a command that showed this text, with its escape sequences."""
    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(shown.rstrip("\n")))
    return drawing(console, title=" ".join([Path(command[0]).name, *command[1:]]))


def main() -> int:
    """Run what the command line says; gives the command's exit code."""
    if len(sys.argv) < 3:  # noqa: PLR2004 (the file and the command)
        print("usage: python docs/picture.py FILE.svg COMMAND ...", file=sys.stderr)  # noqa: T201 (a tool)
        return 2
    file, command = Path(sys.argv[1]), sys.argv[2:]
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "LINES": "50"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 (what the developer names)
    file.write_text(picture(command, done.stdout), encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
