"""The user's side of the nursery: processes that can be watched, signalled and waited for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from tests.crash.victim import Strike

REPOSITORY = Path(__file__).parents[1]
LIMIT = 120.0
"""Seconds after which a process that should have ended hangs."""


class Child:
    """A ``sink`` process of the nursery's; what it says goes to the file ``path``."""

    def __init__(self, nursery: Nursery, pid: int, output: Path, strike: Strike | None) -> None:
        self.pid = pid
        self.strike = strike
        self._nursery = nursery
        self.path = output

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self.path.read_text()

    @property
    def ended(self) -> int | None:
        """Its exit code, the negative number of the signal that killed it, or None while it runs."""
        return self.poll()

    def poll(self) -> int | None:
        """Give ``ended``, under the name that subprocess has for it."""
        return self._nursery.poll(self.pid)

    @property
    def stopped(self) -> bool:
        """Whether it stands still after SIGSTOP."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] == "T"

    def records(self) -> list[dict[str, Any]]:
        """Give its log so far, which is JSON; other lines are left out."""
        lines = self.output.splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.ended is None:
            os.kill(self.pid, number)

    def end(self, seconds: float = LIMIT) -> int:
        """Wait for its end; raises TimeoutError with its last words."""
        deadline = time.monotonic() + seconds
        while (code := self.ended) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} has not ended after {seconds:g} s: {self.output[-2000:]}")
            time.sleep(0.02)
        return code

    def kill(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)
        self.end()


class Nursery:
    """One process that has loaded the code, and its children."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._popen = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.nursery"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C at the tests is not one at the sinks
        )
        self._answer()

    def start(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        strike: Strike | None = None,
        directory: Path | None = None,
        errors: Path | None = None,
    ) -> Child:
        """Start ``sink ARGUMENTS``; unless told, in the nursery's directory and with its errors in ``path`` too."""
        output = self._directory / f"{uuid.uuid4().hex}.log"
        output.touch()
        request = {
            "arguments": arguments,
            "environment": dict(environment),
            "directory": str(directory or self._directory),
            "output": str(output),
            "errors": str(errors or output),
            "strike": asdict(strike) if strike else None,
        }
        return Child(self, int(self._ask(request)["pid"]), output, strike)

    def poll(self, pid: int) -> int | None:
        """Give the exit code of a child that has ended."""
        code: int | None = self._ask({"poll": pid})["ended"]
        return code

    def close(self) -> None:
        """Kill what still runs, and the nursery."""
        self._popen.communicate(timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: Mapping[str, object]) -> dict[str, Any]:
        with self._lock:
            assert self._popen.stdin is not None
            self._popen.stdin.write(json.dumps(request) + "\n")
            self._popen.stdin.flush()
            return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise RuntimeError(f"the nursery died with {self._popen.wait(10)}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def ended_all(children: Sequence[Child], seconds: float = LIMIT) -> list[int]:
    """Wait for the end of all; give their codes."""
    deadline = time.monotonic() + seconds
    return [child.end(max(0.1, deadline - time.monotonic())) for child in children]
