"""Lets a running sink on the same machine go first."""

from __future__ import annotations

import os

BACKGROUND = 10
"""How much nicer than the shell that started it a command is that can wait, of 19 at most."""


def give_way() -> None:
    """Take processor time only where nothing more urgent wants it; on an idle machine that costs nothing."""
    os.nice(BACKGROUND)
