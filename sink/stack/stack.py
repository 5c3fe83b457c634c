"""The three development servers of one directory: up, down, reset, status."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from sink.errors import ConfigError, SinkError, TransientError
from sink.stack import docker, downloads
from sink.stack.broker import Broker
from sink.stack.cache import Cache, locked
from sink.stack.database import Database
from sink.stack.docker import Compose, Container
from sink.stack.record import MAIN, port
from sink.stack.registry import Registry
from sink.stack.server import Server, ServerStatus
from sink.stack.steps import SilentSteps, Steps

ENV_FILE = "sink.env"
BACKEND_VARIABLE = "SINK_STACK_BACKEND"
NATIVE, DOCKER = "native", "docker"
_KINDS: tuple[type[Server], ...] = (Broker, Registry, Database)


class Stack:
    """A broker, a registry and a database whose data, logs and records lie in ``directory``.

    Docker runs them when an engine answers, else they are processes of our own; ``SINK_STACK_BACKEND=native`` or
    ``docker`` decides it by hand. What was used first is kept until ``reset``.
    """

    def __init__(
        self,
        directory: Path = Path(".stack"),
        *,
        environ: Mapping[str, str] | None = None,
        steps: Steps | None = None,
        run: docker.Run = docker.run,
    ) -> None:
        self.directory = directory.absolute()
        self._environ = dict(os.environ if environ is None else environ)
        self._steps = steps or SilentSteps()
        self._run = run
        self.backend = self._choose_backend()
        self.broker: Broker | Container
        self.registry: Registry | Container
        self.database: Database | Container
        self._compose: Compose | None = None
        if self.backend == DOCKER:
            self._compose = compose = self._docker_compose()
            self.broker, self.registry, self.database = (
                Container(name=kind.name, port=compose.ports[kind.port_variable], compose=compose) for kind in _KINDS
            )
        else:
            if not sys.platform.startswith("linux"):
                raise ConfigError("the native stack needs Linux; start a Docker engine, which is then used instead")
            cache = Cache.of_user(self._environ)
            self.broker = Broker(directory=self.directory, cache=cache, environ=self._environ)
            self.registry = Registry(directory=self.directory, cache=cache, environ=self._environ)
            self.database = Database(directory=self.directory, cache=cache, environ=self._environ)

    @property
    def servers(self) -> tuple[Server | Container, ...]:
        """The three servers."""
        return (self.broker, self.registry, self.database)

    @property
    def env_file(self) -> Path:
        """Where ``up`` leaves the settings with which ``sink`` reaches the servers."""
        return self.directory / ENV_FILE

    def up(self) -> None:
        """Start what does not run; download it first where needed. Nothing happens to what runs."""
        self._require_tools()
        with self._lock():
            (self.directory / "backend").write_text(self.backend)
            for server in self.servers:
                _ = server.address  # chooses the port where there is none yet, one server after the other
            _at_once(self._up, self.servers)
            self._write_env_file()

    def down(self) -> None:
        """Stop what ``up`` started; the data stay."""
        if self.directory.is_dir():
            with self._lock():
                self._down()

    def reset(self) -> None:
        """Stop what ``up`` started and delete the data, the logs and the remembered ports; the downloads stay."""
        if self.directory.is_dir():
            with self._lock():
                self._down()
                if self._compose is not None:
                    self._compose("down", "--volumes")
                for server in self.servers:
                    server.delete_data()
                for kind in _KINDS:
                    (self.directory / f"{kind.name}.json").unlink(missing_ok=True)
                shutil.rmtree(self.directory / "logs", ignore_errors=True)
                (self.directory / "backend").unlink(missing_ok=True)

    def status(self) -> list[ServerStatus]:
        """Say how each server is."""
        return [server.status() for server in self.servers]

    def settings(self) -> dict[str, str]:
        """Give the variables with which ``sink`` reaches the servers."""
        return {
            "DATABASE_URL": self.database.url,
            "SINK_KAFKA__BOOTSTRAP_SERVERS": self.broker.address,
            "SINK_REGISTRY__URL": self.registry.url,
        }

    def _up(self, server: Server | Container) -> None:
        if not server.installed():
            with self._steps.step(f"{server.name}: download {server.version}"):
                server.install()
        with self._steps.step(f"{server.name}: {'check' if server.pid else 'start'}"):
            server.start()

    def _down(self) -> None:
        self.env_file.unlink(missing_ok=True)
        _at_once(self._stop, self.servers)
        if self._compose is not None:
            self._compose("down")

    def _stop(self, server: Server | Container) -> None:
        with self._steps.step(f"{server.name}: stop"):
            server.stop()

    def _lock(self) -> AbstractContextManager[int]:
        return locked(self.directory / "lock")

    def _require_tools(self) -> None:
        needed = [tool for server in self.servers for tool in server.tools]
        needed += [tool for server in self.servers if not server.installed() for tool in server.install_tools]
        downloads.require_tools(list(dict.fromkeys(needed)))

    def _write_env_file(self) -> None:
        part = self.env_file.with_suffix(".part")
        part.write_text("".join(f"{name}={value}\n" for name, value in self.settings().items()))
        part.replace(self.env_file)

    def _docker_compose(self) -> Compose:
        ports = {
            kind.port_variable: port(
                self.directory / f"{kind.name}.json", MAIN, variable=kind.port_variable, environ=self._environ
            )
            for kind in _KINDS
        }
        return Compose(directory=self.directory, ports=ports, environ=self._environ, run=self._run)

    def _choose_backend(self) -> str:
        kept = self.directory / "backend"
        if kept.is_file():
            return kept.read_text()
        given = self._environ.get(BACKEND_VARIABLE)
        if given is None:
            return DOCKER if docker.engine_answers(self._environ, self._run) else NATIVE
        if given not in {NATIVE, DOCKER}:
            raise ConfigError(f"{BACKEND_VARIABLE}={given!r}: choose {NATIVE} or {DOCKER}, or unset it")
        return given


def _at_once(work: Callable[[Server | Container], None], servers: Iterable[Server | Container]) -> None:
    """Work on all servers in threads of their own; every failure is reported."""
    with ThreadPoolExecutor() as threads:
        tasks = [threads.submit(work, server) for server in servers]
        errors = [error for task in tasks if (error := task.exception()) is not None]
    unexpected = [error for error in errors if not isinstance(error, SinkError)]
    if unexpected or len(errors) == 1:
        raise (unexpected or errors)[0]
    if errors:
        kind = ConfigError if all(isinstance(error, ConfigError) for error in errors) else TransientError
        raise kind("\n".join(str(error) for error in errors))
