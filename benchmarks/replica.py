"""A ``sink run`` that serves its metrics, and can be stopped and started again on the same port."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from benchmarks.processes import Child, Gone
from benchmarks.systems import SYSTEMS
from benchmarks.systems.system import Command, Job
from benchmarks.world import clean_environment
from sink.stack.ports import LOOPBACK, choose
from sink.stack.processes import wait_until

READY_SECONDS = 120.0
"""Seconds after which a replica that is not ready never will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """How long one replica took, in seconds: from SIGTERM to its end, and from its start until it was ready."""

    replica: int
    stopped: float
    ready: float
    code: int | None


class Replica:
    """One ``sink run`` that can be stopped and started again on the same port."""

    def __init__(self, number: int, job: Job, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.number = number
        self.port = choose(directory, "http")
        self._directory = directory
        self._starts = 0
        command = SYSTEMS["sink"].command(replace(job, directory=directory))
        http = {"SINK_HTTP__ENABLED": "true", "SINK_HTTP__HOST": LOOPBACK, "SINK_HTTP__PORT": str(self.port)}
        self._command = Command(arguments=command.arguments, environment={**command.environment, **http})
        self._child = self._start()

    def stop(self) -> int | None:
        """End it by SIGTERM; give the exit code, None where it had to be killed."""
        self._child.signal(15)
        if not wait_until(lambda: self._child.code is not None, seconds=60):
            self.kill()
            return None
        return self._child.code

    def kill(self) -> None:
        """End it at once, if it runs."""
        self._child.signal(9)
        wait_until(lambda: self._child.code is not None, seconds=10)

    def restart(self) -> Restart:
        """End it, start it again and wait until it is ready; raises Gone where it never is."""
        began = time.monotonic()
        code = self.stop()
        ended = time.monotonic()
        self._child = self._start()
        self.await_ready()
        ready = time.monotonic()
        return Restart(replica=self.number, stopped=round(ended - began, 2), ready=round(ready - ended, 2), code=code)

    def await_ready(self) -> None:
        """Wait until it says so itself; raises Gone where it never does."""
        if not wait_until(lambda: self._child.code is not None or self._ready(), seconds=READY_SECONDS):
            raise Gone(f"replica {self.number} does not become ready:\n{self._child.last_words()}")
        if self._child.code is not None:
            raise Gone(f"replica {self.number} has ended:\n{self._child.last_words()}")

    def _ready(self) -> bool:
        try:
            return httpx.get(f"http://{LOOPBACK}:{self.port}/readyz", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _start(self) -> Child:
        self._starts += 1
        directory = self._directory / f"start-{self._starts}"
        directory.mkdir()
        return Child(self._command, directory=directory, environment=clean_environment())
