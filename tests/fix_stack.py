"""The servers that tests run against: those that someone else names, those that run already, or our own."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from sink.stack import Stack
from sink.stack.cache import locked

DIRECTORY = Path(__file__).parents[1] / ".stack"
DATABASE_VARIABLE = "SINK_TEST_DATABASE_URL"
BOOTSTRAP_VARIABLE = "SINK_TEST_BOOTSTRAP"
REGISTRY_VARIABLE = "SINK_TEST_REGISTRY"
_SESSION_VARIABLE = "SINK_TEST_SESSION"
_OWNER = DIRECTORY / "started-by-tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """How to reach the three servers."""

    database_url: str
    bootstrap_servers: str
    registry_url: str


def pytest_configure(config: pytest.Config) -> None:
    """Name the session, so that the workers of pytest-xdist know that they belong together."""
    if not hasattr(config, "workerinput"):
        os.environ[_SESSION_VARIABLE] = uuid.uuid4().hex


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the stack when this session started it; the controller does so once its workers are done."""
    if hasattr(session.config, "workerinput") or not _OWNER.is_file():
        return
    if _OWNER.read_text() == os.environ[_SESSION_VARIABLE]:
        _OWNER.unlink()
        Stack(DIRECTORY).down()


@pytest.fixture(scope="session")
def stack() -> Servers:
    """Servers given by SINK_TEST_* variables, each on its own; the checkout's stack for the others.

    The stack (Docker's when an engine answers) is started unless it runs; that it cannot start fails the test.
    """
    given = [os.environ.get(name) for name in (DATABASE_VARIABLE, BOOTSTRAP_VARIABLE, REGISTRY_VARIABLE)]
    own = dict.fromkeys(("DATABASE_URL", "SINK_KAFKA__BOOTSTRAP_SERVERS", "SINK_REGISTRY__URL"), "")
    if not all(given):
        own = _running_stack().settings()
    database, bootstrap, registry = given
    return Servers(
        database_url=database or own["DATABASE_URL"],
        bootstrap_servers=bootstrap or own["SINK_KAFKA__BOOTSTRAP_SERVERS"],
        registry_url=registry or own["SINK_REGISTRY__URL"],
    )


def _running_stack() -> Stack:
    running = Stack(DIRECTORY)
    with locked(running.directory / "tests.lock"):
        if any(server.state != "running" for server in running.status()):
            # Ours only when nothing ran: mending one server of a developer's stack does not make it ours to stop.
            mine = all(server.state == "stopped" for server in running.status())
            if mine:
                _OWNER.write_text(os.environ[_SESSION_VARIABLE])
            running.up()
    return running


@pytest.fixture(scope="session")
def bootstrap_servers(stack: Servers) -> str:
    """Address of the broker, ``host:port``."""
    return stack.bootstrap_servers


@pytest.fixture(scope="session")
def registry_url(stack: Servers) -> str:
    """Address of the registry's Confluent-compatible interface."""
    return stack.registry_url


@pytest.fixture(scope="session")
def server_database_url(stack: Servers) -> str:
    """Superuser's SQLAlchemy address of some database on the database server; tests make their own beside it."""
    return stack.database_url
