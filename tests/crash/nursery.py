"""Starts ``sink`` processes as forks of one that has loaded the code already: loading it takes seconds of a busy core.

The parent process reads one JSON request a line and answers each with one line; see :class:`Nursery` for its user.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from sink.cli.run import run
from tests.crash import victim


def _child(request: dict[str, Any]) -> None:
    """Become the command; never returns."""
    code = 1
    try:
        os.setsid()
        output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.chdir(request["directory"])
        os.environ.clear()
        os.environ.update(request["environment"])
        strike = victim.Strike(**request["strike"]) if request["strike"] else None
        victim.run(request["arguments"], strike)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        raise
    finally:  # whatever happened, the child must not go on as a second nursery
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _start(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        _child(request)
    return pid


def _say(answer: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve requests until the user closes our input, then kill what still runs."""
    running: set[int] = set()
    ended: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            pid = request["poll"]
            if pid in running:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    running.discard(pid)
                    ended[pid] = os.waitstatus_to_exitcode(status)
            answer: dict[str, object] = {"ended": ended.get(pid)}
        else:
            pid = _start(request)
            running.add(pid)
            answer = {"pid": pid}
        _say(answer)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    _say({"loaded": [run.__module__]})
    main()
