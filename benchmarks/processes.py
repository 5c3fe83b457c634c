"""The processes of one system: started together, measured while they run, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from benchmarks import measure
from benchmarks.systems.system import Command

STOP_SECONDS = 40.0
_LAST_LINES = 15


class Gone(Exception):
    """A process of a system has ended as it should not; the message holds its last words."""


class Child:
    """One process and what it used; its output goes to a file."""

    def __init__(self, command: Command, *, directory: Path, environment: Mapping[str, str]) -> None:
        self.output = directory / "output.log"
        self.cpu: float | None = None
        """CPU seconds of it and its own children, once it has ended."""
        self.peak = 0
        """Highest resident memory in bytes, as of the last :meth:`look`."""
        with self.output.open("wb") as file:
            self._popen = subprocess.Popen(  # noqa: S603 - commands of our own
                [*command.arguments],
                cwd=directory,
                env={**environment, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def code(self) -> int | None:
        """The exit code, None while it runs."""
        if self._popen.returncode is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._popen.returncode = os.waitstatus_to_exitcode(status)
                self.cpu = usage.ru_utime + usage.ru_stime
        return self._popen.returncode

    def look(self) -> None:
        """See how much memory it has used."""
        self.peak = max(self.peak, measure.peak_memory(self.pid))

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.code is None:
            os.kill(self.pid, number)

    def last_words(self) -> str:
        """Give the end of what it said."""
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-_LAST_LINES:])


class Children:
    """All replicas of a system; leaving the block ends what still runs."""

    def __init__(self, commands: Sequence[tuple[Command, Path]], environment: Mapping[str, str]) -> None:
        self._children = [
            Child(command, directory=directory, environment=environment) for command, directory in commands
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(signal.SIGKILL, STOP_SECONDS)

    @property
    def ended(self) -> bool:
        """Whether all have ended well; raises Gone where one has ended otherwise."""
        for child in self._children:
            if child.code not in {None, 0}:
                raise Gone(f"ended with {child.code}:\n{child.last_words()}")
        return all(child.code == 0 for child in self._children)

    @property
    def output(self) -> str:
        """What they have said so far."""
        return "\n".join(child.output.read_text(errors="replace") for child in self._children)

    def look(self) -> None:
        """See how much memory they have used."""
        for child in self._children:
            child.look()

    @property
    def peak(self) -> int:
        """Highest resident memory of all of them, in bytes."""
        return sum(child.peak for child in self._children)

    def cpu(self) -> float:
        """Give the CPU seconds so far."""
        return sum(measure.seconds(child.pid) if child.cpu is None else child.cpu for child in self._children)

    def terminate(self) -> None:
        """Ask all to end, and wait until they have."""
        self._end(signal.SIGTERM, STOP_SECONDS)

    def _end(self, number: int, seconds: float) -> None:
        for child in self._children:
            child.signal(number)
        deadline = time.monotonic() + seconds
        while any(child.code is None for child in self._children) and time.monotonic() < deadline:
            time.sleep(0.02)
