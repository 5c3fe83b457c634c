"""Starts ``sink`` processes as forks of one that has loaded the code already: loading it takes seconds of a busy core.

The parent process reads one JSON request a line and answers each with one line; see :class:`tests.children.Nursery` for
its user.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from sink.cli import COMMANDS
from tests.crash import victim

APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def _become(request: dict[str, Any]) -> None:
    """Be the command, in this process, which ends as any process of Python does."""
    os.setsid()
    streams = (os.devnull, os.O_RDONLY), (request["output"], APPENDING), (request["errors"], APPENDING)
    for number, (path, flags) in enumerate(streams):
        opened = os.open(path, flags, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    victim.run(request["arguments"], victim.Strike(**request["strike"]) if request["strike"] else None)


def _say(answer: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _serve() -> dict[str, Any] | None:
    """Serve requests until the user closes our input, then kill what still runs.

    Gives None then, and the request in each process that was forked to be its command.
    """
    running: set[int] = set()
    ended: dict[int, int] = {}
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        if "poll" in request:
            pid = request["poll"]
            if pid in running:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    running.discard(pid)
                    ended[pid] = os.waitstatus_to_exitcode(status)
            answer: dict[str, object] = {"ended": ended.get(pid)}
        else:
            pid = os.fork()
            if pid == 0:
                return request
            running.add(pid)
            answer = {"pid": pid}
        _say(answer)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return None


def main() -> None:
    """Load every command, then be the nursery, or one of its children."""
    _say({"loaded": [import_module(f"sink.cli.{name}").__name__ for name in COMMANDS]})
    request = _serve()
    if request is not None:
        _become(request)


if __name__ == "__main__":
    main()
