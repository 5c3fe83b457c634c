"""Draws what a console has printed into an SVG file that loads nothing from elsewhere."""

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


def draw(console: Console, picture: Path | None, *, title: str) -> None:
    """Write the picture, if there is to be one."""
    if picture is not None:
        # Rich names a font on a server of others; the reader's own monospaced one does
        picture.write_text(_FONT.sub("", console.export_svg(title=title)), encoding="utf-8")
