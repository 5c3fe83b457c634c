"""A development server as a native process: start, stop, kill, and what became of it."""

from __future__ import annotations

import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from sink.errors import TransientError
from sink.stack import ports
from sink.stack.cache import Cache
from sink.stack.ports import LOOPBACK
from sink.stack.processes import Process, spawn, wait_until
from sink.stack.record import MAIN, Record, port

READY_SECONDS = 90
STOP_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """How a server is: ``state`` is running, not answering or stopped; ``memory`` in bytes."""

    name: str
    state: str
    address: str
    pid: int | None
    version: str
    memory: int | None


class Server(ABC):
    """A server whose record lies at ``directory/NAME.json``, its data at ``directory/NAME``, its log in ``logs``."""

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[str]
    port_variable: ClassVar[str]
    roles: ClassVar[tuple[str, ...]] = (MAIN,)
    """What it needs ports for."""
    tools: ClassVar[tuple[str, ...]]
    """Programs that the host must have to run it."""
    install_tools: ClassVar[tuple[str, ...]]
    """Programs that the host must have to download it."""

    def __init__(self, *, directory: Path, cache: Cache, environ: Mapping[str, str]) -> None:
        self.directory = directory
        self.cache = cache
        self.environ = environ
        self.log = directory / "logs" / f"{self.name}.log"
        self._path = directory / f"{self.name}.json"

    @property
    def address(self) -> str:
        """``host:port``."""
        record = Record.read(self._path)
        return f"{LOOPBACK}:{record.started_on if record.running() else self.port(MAIN)}"

    @property
    def pid(self) -> int | None:
        """The process id while the server runs."""
        process = Record.read(self._path).running()
        return process.pid if process else None

    @property
    def data(self) -> Path:
        """The folder of the server's data."""
        return self.directory / self.name

    @abstractmethod
    def installed(self) -> bool:
        """Say whether the cache holds the program."""

    @abstractmethod
    def install(self) -> None:
        """Bring the program into the cache, unless it is there."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder, unless it is there, and write the configuration."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Give the command that becomes the server, started in the data folder."""

    @abstractmethod
    def answers(self) -> bool:
        """Say whether the server does its work now."""

    def configure(self) -> None:  # noqa: B027 - most servers need nothing more
        """Bring the server that has just begun to answer into the state that users expect."""

    def environment(self) -> dict[str, str]:
        """Give the server's environment: little, so that a developer's own variables do not change how it behaves."""
        return {key: self.environ[key] for key in ("PATH", "JAVA_HOME") if key in self.environ}

    def port(self, role: str) -> int:
        """Give the port of a role: the main one as its variable fixes it, else a free one, chosen once."""
        return port(self._path, role, variable=self.port_variable, environ=self.environ)

    def start(self) -> None:
        """Start the server unless it runs, and wait until it answers.

        Raises ConfigError where another process holds the port, TransientError where the server dies or stays silent.
        """
        process = Record.read(self._path).running() or self._spawn()
        answered = wait_until(lambda: not process.alive() or self.answers(), seconds=READY_SECONDS)
        if not process.alive():
            raise TransientError(f"{self.title} died while it started. {self._last_words()}")
        if not answered:
            raise TransientError(
                f"{self.title} (pid {process.pid}) runs but did not answer on {self.address} within {READY_SECONDS} s. "
                f"End it with: sink stack down. {self._last_words()}"
            )
        self.configure()

    def stop(self) -> None:
        """Stop the server in the orderly way, by force when it does not follow."""
        self._end(signal.SIGTERM)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the server a signal; after SIGKILL, wait until it is gone."""
        process = Record.read(self._path).running()
        if process is not None:
            process.signal(number)
            if number == signal.SIGKILL:
                wait_until(lambda: not process.alive(), seconds=STOP_SECONDS)

    def delete_data(self) -> None:
        """Delete the data of the stopped server, and its remembered ports."""
        shutil.rmtree(self.data, ignore_errors=True)
        self._path.unlink(missing_ok=True)

    def status(self) -> ServerStatus:
        """Say how the server is."""
        process = Record.read(self._path).running()
        state = "stopped" if process is None else "running" if self.answers() else "not answering"
        return ServerStatus(
            name=self.name,
            state=state,
            address=self.address,
            pid=process.pid if process else None,
            version=self.version,
            memory=process.memory() if process else None,
        )

    def _spawn(self) -> Process:
        main = self.port(MAIN)
        ports.require_free(main, title=self.title, variable=self.port_variable)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.prepare()
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".before.log"))
        process = spawn(self.command(), directory=self.data, log=self.log, environ=self.environment())
        replace(Record.read(self._path), process=process, started_on=main).write(self._path)
        return process

    def _end(self, number: int) -> None:
        record = Record.read(self._path)
        process = record.running()
        if process is not None:
            process.signal(number)
            process.signal(signal.SIGCONT)
            if not wait_until(lambda: not process.alive(), seconds=STOP_SECONDS):
                process.signal(signal.SIGKILL)
                wait_until(lambda: not process.alive(), seconds=STOP_SECONDS)
        if record.process is not None:
            replace(record, process=None, started_on=None).write(self._path)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-12:] if self.log.exists() else []
        said = "\n".join(f"  {line}" for line in lines) or "  (nothing)"
        return (
            f"If its data are damaged, begin anew with: sink stack reset && sink stack up. "
            f"The last lines of {self.log}:\n{said}"
        )
