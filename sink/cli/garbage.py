"""Tells Python's garbage collector what a loop over messages needs.

Messages come by the ten thousand, each an object that the collector looks at, and hold no circles: what they hold is
freed by counting references. With the collector's defaults, half of the CPU time of reading went into looking.
"""

from __future__ import annotations

import gc

YOUNG = 50_000
"""Objects more than at the last round that start the next one: above those of a poll, a message and its time each."""


def settle() -> None:
    """Look rarely from now on, and never again at what is there already: modules, classes, the settings."""
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
