"""``sink ...`` in this very process, to be struck at the n-th time that it comes to a named step."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass

from sink.__main__ import main
from tests.crash.steps import STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """Where a process is struck, the how manyeth time it comes there, and with which signal."""

    step: str
    nth: int
    signal: int


class Turns:
    """Counts how often the process came to the step, on whichever thread."""

    def __init__(self, strike: Strike) -> None:
        self._strike = strike
        self._lock = threading.Lock()
        self._left = strike.nth

    def come(self) -> bool:
        """Count one more time; say whether this is the one."""
        with self._lock:
            self._left -= 1
            return self._left == 0

    def strike(self) -> None:
        """Leave word, for it is the last that this process says, and send it the signal."""
        os.write(2, f'{{"level": "info", "event": "struck", "step": "{self._strike.step}"}}\n'.encode())
        os.kill(os.getpid(), self._strike.signal)


def run(arguments: list[str], strike: Strike | None) -> None:
    """Run the command to its end, or to the strike."""
    if strike is not None:
        STEPS[strike.step](Turns(strike))
    sys.argv = ["sink", *arguments]
    main()
