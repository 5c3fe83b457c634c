"""How a command stops: asked to by a signal, and at the latest some seconds after its deadline."""

from __future__ import annotations

import os
import signal
import threading
import time

from sink.settings import Settings

HARD_EXIT_AFTER = 10.0
"""Seconds beyond the shutdown timeout after which a hanging thread no longer keeps the process."""


def stop_on_signals(settings: Settings) -> threading.Event:
    """Give what SIGTERM and Ctrl-C set from now on, and bound how long stopping may take then."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signal, _frame: stop.set())
    threading.Thread(target=_insist, args=(stop, settings.shutdown_timeout), name="insist", daemon=True).start()
    return stop


def _insist(stop: threading.Event, shutdown_timeout: float) -> None:
    """End the process if something hangs after the deadline; what was not flushed is read again."""
    stop.wait()
    time.sleep(shutdown_timeout + HARD_EXIT_AFTER)
    os._exit(1)
