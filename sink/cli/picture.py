"""Draws what a console has printed as an SVG that loads nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

WIDTH = 120
"""Columns of a picture."""
_FONT = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)


def drawn_on(picture: Path | None) -> Console:
    """Give the console to print on; it remembers what it prints where there is to be a picture."""
    return Console() if picture is None else Console(record=True, width=WIDTH)


def drawing(console: Console, *, title: str) -> str:
    """Give the picture of a console that remembers."""
    # Rich names a font on a server of others; the reader's own monospaced one does
    return _FONT.sub("", console.export_svg(title=title)).replace("Fira Code, ", "")


def draw(console: Console, picture: Path | None, *, title: str) -> None:
    """Write the picture, if there is to be one."""
    if picture is not None:
        picture.write_text(drawing(console, title=title), encoding="utf-8")
