"""Tells Python's interpreter what a loop over messages needs, with a thread that writes beside it.

Messages come by the ten thousand, each an object that the garbage collector looks at, and hold no circles: what they
hold is freed by counting references. With the collector's defaults, half of the CPU time of reading went into looking.

The thread that writes does little but wait, for the database and then for Python's lock. The thread that reads
gives the lock away when it has been asked for five milliseconds, by default: at each statement of a flush, while the
database waits for the next one in the middle of a transaction.
"""

from __future__ import annotations

import gc
import sys

YOUNG = 50_000
"""Objects more than at the last round that start the next one: above those of a poll, a message and its time each."""
SWITCH = 0.0005
"""Seconds for which a thread keeps Python's lock while another one wants it."""


def settle() -> None:
    """Look rarely from now on, and never again at what is there already: modules, classes, the settings."""
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    sys.setswitchinterval(SWITCH)
