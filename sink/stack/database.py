"""PostgreSQL with TimescaleDB as native processes."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal

from sink.errors import ConfigError, TransientError
from sink.stack import apt, downloads, processes
from sink.stack.cache import CACHE_VARIABLE
from sink.stack.ports import LOOPBACK
from sink.stack.record import MAIN
from sink.stack.server import STOP_SECONDS, Server

DATABASE = "ingestion"
_UNPRIVILEGED = "nobody"
_OWNER_SUFFIX = ".owner"
_LONGEST_COMMAND = 120
"""Seconds for initdb and each psql."""
# Compiled into Debian's server: it knows no other place for the rules of time zones.
_ZONES = Path("/usr/share/zoneinfo")

# Every database with the extension takes a worker slot, and every test has a database. No Unix socket, so that
# nothing lies outside the data folder.
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_preload_libraries": "timescaledb",
    "timescaledb.max_background_workers": "32",
    "timescaledb.telemetry_level": "off",
    "max_worker_processes": "64",
    "max_connections": "200",
    "max_locks_per_transaction": "256",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# PostgreSQL has no CREATE DATABASE IF NOT EXISTS; psql runs what this query gives.
_CREATE = """\
SELECT format('CREATE DATABASE %I', name) FROM (VALUES (:'database')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \\gexec
"""


class Database(Server):
    """The database server; as root it runs as an unprivileged user, because PostgreSQL refuses root."""

    name = "database"
    title = "the database"
    version = f"PostgreSQL {downloads.POSTGRESQL} with TimescaleDB"
    port_variable = "SINK_STACK_DATABASE_PORT"
    tools = ("setpriv",)
    install_tools = ("mmdebstrap",)

    @property
    def url(self) -> str:
        """SQLAlchemy's address of the database."""
        return database_url(self.address)

    @property
    def data(self) -> Path:
        """The data folder: in the stack's directory, or in the cache where the server could not reach that."""
        own = self.directory / self.name
        if os.geteuid() != 0 or _reachable(self.directory):
            return own
        return self.cache.path / "data" / sha256(str(self.directory).encode()).hexdigest()[:16]

    def installed(self) -> bool:
        """Say whether the file system with the programs is in the cache."""
        return self._root().is_dir()

    def install(self) -> None:
        """Extract the programs from Debian's packages, unless they are there."""
        if not self.installed():
            mirror = apt.mirror(etc=Path("/etc"), given=self.environ.get(apt.MIRROR_VARIABLE))
            downloads.postgresql(self.cache, mirror=mirror)

    def prepare(self) -> None:
        """Make the data folder, unless it is there, and wait for what a killed server has left behind."""
        self._end_leftovers()
        if not (_ZONES / "UTC").exists():
            raise ConfigError(
                "the database needs the rules of time zones; "
                "install with: sudo apt-get install -y --no-install-recommends tzdata"
            )
        if os.geteuid() == 0 and not _reachable(self.cache.path):
            raise ConfigError(
                f"the database runs as the user {_UNPRIVILEGED}, who cannot enter {self.cache.path}; "
                f"choose another folder: {CACHE_VARIABLE}=DIR sink stack up"
            )
        if self.data.is_dir():
            return
        self._forget_deleted_checkouts()
        part = self.data.with_name(f"{self.data.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        if os.geteuid() == 0:
            user = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(part, user.pw_uid, user.pw_gid)
        settings = [f"--set={name}={value}" for name, value in _SETTINGS.items()]
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", *settings]
        self._run([*self._program("initdb"), f"--pgdata={part}", *options], what="make the database's data folder")
        if self.data.parent != self.directory:
            self.data.with_suffix(_OWNER_SUFFIX).write_text(str(self.directory))
        part.rename(self.data)

    def command(self) -> Sequence[str]:
        """Give the server's command."""
        return [*self._program("postgres"), "-D", str(self.data), "-p", str(self.port(MAIN))]

    def answers(self) -> bool:
        """Say whether the server takes queries."""
        return self._psql("SELECT 1").returncode == 0

    def configure(self) -> None:
        """Make the application's database, unless it is there."""
        done = self._psql(_CREATE)
        if done.returncode:
            raise TransientError(f"could not make the database {DATABASE}: {done.stdout.strip()}")

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server: ``fast`` ends the sessions and writes everything out, ``immediate`` is a crash."""
        self._end({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        self._end_leftovers()

    def delete_data(self) -> None:
        """Delete the data of the stopped server, and its remembered port."""
        super().delete_data()
        self.data.with_suffix(_OWNER_SUFFIX).unlink(missing_ok=True)

    def _forget_deleted_checkouts(self) -> None:
        """Delete data that lie in the cache for a directory that is no more."""
        for owner in (self.cache.path / "data").glob(f"*{_OWNER_SUFFIX}"):
            if not Path(owner.read_text()).exists():
                shutil.rmtree(owner.with_suffix(""), ignore_errors=True)
                owner.unlink(missing_ok=True)

    def _end_leftovers(self) -> None:
        """End the sessions that outlive a killed server for a moment; they hold its memory, so none could start."""
        program = downloads.programs(self._root()) / "postgres"

        def left() -> list[processes.Process]:
            return processes.of_program(program, directory=self.data)

        if self.pid is None and left() and not processes.wait_until(lambda: not left(), seconds=5):
            for process in left():
                process.signal(signal.SIGKILL)
            processes.wait_until(lambda: not left(), seconds=STOP_SECONDS)

    def _root(self) -> Path:
        return self.cache.path / f"postgresql-{downloads.POSTGRESQL}"

    def _program(self, name: str) -> list[str]:
        program = str(downloads.programs(self._root()) / name)
        if os.geteuid() != 0:
            return [program]
        user = pwd.getpwnam(_UNPRIVILEGED)
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--", program]

    def _psql(self, statement: str) -> subprocess.CompletedProcess[str]:
        host, _, port = self.address.rpartition(":")
        psql = str(downloads.programs(self._root()) / "psql")
        options = [
            "-XqAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
            f"database={DATABASE}",
            "-h",
            host,
            "-p",
            port,
            "-U",
            "postgres",
            "-d",
            "postgres",
        ]
        environment = self.environment() | {"PGCONNECT_TIMEOUT": "3", "PSQLRC": os.devnull}
        return _captured([psql, *options], environment=environment, text=statement)

    def _run(self, command: Sequence[str], *, what: str) -> None:
        done = _captured(command, environment=self.environment(), text="")
        if done.returncode:
            raise TransientError(f"could not {what}:\n{done.stdout}")


def database_url(address: str) -> str:
    """Give SQLAlchemy's address of the application's database on the server at ``address``."""
    return f"postgresql+psycopg://postgres:postgres@{address}/{DATABASE}"


def _captured(command: Sequence[str], *, environment: dict[str, str], text: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - programs and arguments of our own
            command,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd="/",
            text=True,
            errors="replace",
            check=False,
            timeout=_LONGEST_COMMAND,
        )
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"{Path(command[0]).name} has not ended after {_LONGEST_COMMAND} seconds") from error


def _reachable(directory: Path) -> bool:
    """Say whether every user can enter the directory; one that does not exist yet is judged by its parents."""
    existing = (path for path in (directory, *directory.parents) if path.exists())
    return all(path.stat().st_mode & stat.S_IXOTH for path in existing)
