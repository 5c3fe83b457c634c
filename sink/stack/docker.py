"""The development servers as services of docker-compose.yml, driven through the ``docker compose`` command."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from sink.errors import TransientError
from sink.stack import registry
from sink.stack.database import Database, database_url
from sink.stack.ports import LOOPBACK
from sink.stack.server import ServerStatus

COMPOSE_FILE = Path(__file__).parents[2] / "docker-compose.yml"
"""At the top of a checkout; a wheel does not carry it."""


LONGEST_COMMAND = 1800
"""Seconds; the first ``up`` downloads the images."""


class Run(Protocol):
    """Runs a command to its end: its status and what it printed."""

    def __call__(self, command: Sequence[str], environ: Mapping[str, str], /) -> tuple[int, str]:
        """Run the command with this environment."""


def run(command: Sequence[str], environ: Mapping[str, str], /) -> tuple[int, str]:
    """Run a command for real; one that hangs counts as failed, with the status that timeout(1) gives."""
    try:
        done = subprocess.run(  # noqa: S603 - docker with arguments of our own
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=environ,
            timeout=LONGEST_COMMAND,
        )
    except subprocess.TimeoutExpired:
        return 124, f"it has not ended after {LONGEST_COMMAND} seconds"
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr


def engine_answers(environ: Mapping[str, str], run: Run = run) -> bool:
    """Say whether a Docker engine with the compose plugin can be used here."""
    commands = (["docker", "info"], ["docker", "compose", "version"])
    found = shutil.which("docker", path=environ.get("PATH")) is not None and COMPOSE_FILE.is_file()
    return found and all(run(command, environ)[0] == 0 for command in commands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compose:
    """The ``docker compose`` command for the project of one stack directory."""

    directory: Path
    ports: Mapping[str, int]
    """By the variable that docker-compose.yml names."""
    environ: Mapping[str, str]
    run: Run = run

    def __call__(self, *arguments: str) -> str:
        """Run a compose command; give what it prints."""
        project = f"sink-{sha256(str(self.directory).encode()).hexdigest()[:8]}"
        command = ["docker", "compose", "--project-name", project, "--file", str(COMPOSE_FILE), *arguments]
        status, said = self.run(command, {**self.environ, **{name: str(port) for name, port in self.ports.items()}})
        if status:
            raise TransientError(f"`{' '.join(command)}` ended with status {status}:\n{said.strip()}")
        return said


class Container:
    """One service, controlled like a native server."""

    version: ClassVar[str] = "as in docker-compose.yml"
    tools: ClassVar[tuple[str, ...]] = ()
    install_tools: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, name: str, port: int, compose: Compose) -> None:
        self.name = name
        self.port = port
        self._compose = compose

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """None: the process belongs to the engine, perhaps on another machine."""
        return None

    def installed(self) -> bool:
        """Say whether the image has been pulled."""
        return bool(self._compose("images", "--quiet", self.name).strip())

    def install(self) -> None:
        """Pull the image."""
        self._compose("pull", "--quiet", self.name)

    def start(self) -> None:
        """Start the service unless it runs, and wait until it is healthy."""
        self._compose("up", "--detach", "--wait", self.name)
        self.configure()

    def configure(self) -> None:
        """Bring the running service into the state that users expect."""
        if self.name == registry.Registry.name:
            registry.require_backward(self.address)

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the service: ``fast`` in the orderly way, ``immediate`` is a crash."""
        if mode == "immediate":
            self.kill(signal.SIGQUIT if self.name == Database.name else signal.SIGKILL)
        else:
            self._compose("stop", self.name)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the service's main process a signal."""
        self._compose("kill", "--signal", signal.Signals(number).name, self.name)

    def delete_data(self) -> None:
        """Forget the port; the data go with the project's volumes."""
        (self._compose.directory / f"{self.name}.json").unlink(missing_ok=True)

    def status(self) -> ServerStatus:
        """Say how the service is; its memory is the engine's affair."""
        found: list[dict[str, Any]] = [
            json.loads(line) for line in self._compose("ps", "--all", "--format", "json", self.name).splitlines()
        ]
        shown = found[0] if found else {}
        healthy = (shown.get("State"), shown.get("Health", "")) == ("running", "healthy")
        state = "running" if healthy else "not answering" if shown.get("State") == "running" else "stopped"
        return ServerStatus(
            name=self.name, state=state, address=self.address, pid=None, version=shown.get("Image", "-"), memory=None
        )

    @property
    def url(self) -> str:
        """The address that clients are given."""
        if self.name == Database.name:
            return database_url(self.address)
        return registry.registry_url(self.address) if self.name == registry.Registry.name else self.address
