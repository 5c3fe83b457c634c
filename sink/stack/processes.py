"""Processes as /proc shows them: started apart from the terminal, known beyond doubt, measured, ended."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_LISTENING = "0A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process known beyond doubt: a pid alone may by now be another's.

    ``started`` is in clock ticks since the start of the machine, which ``boot`` names.
    """

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Give the process that has ``pid`` now, None where none has it."""
        stat = _stat(pid)
        return None if stat is None else cls(pid=pid, started=stat.started, boot=_boot())

    def alive(self) -> bool:
        """Say whether this very process still runs; a zombie does not, and is reaped where it is our child."""
        stat = _stat(self.pid)
        if stat is None or (stat.started, _boot()) != (self.started, self.boot):
            return False
        if stat.state in "ZX":
            with suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
            return False
        return True

    def signal(self, number: int) -> None:
        """Send a signal to this very process; nothing happens when it is gone."""
        try:
            # A handle first, then the check: from here on the pid cannot pass to another process unseen.
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive():
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)

    def memory(self) -> int:
        """Give the bytes of memory of the process and its descendants, each shared page counted once."""
        children: dict[int, list[int]] = {}
        for pid in _pids():
            stat = _stat(pid)
            if stat is not None:
                children.setdefault(stat.parent, []).append(pid)
        total, waiting = 0, [self.pid]
        while waiting:
            pid = waiting.pop()
            waiting += children.get(pid, [])
            total += _proportional(pid)
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stat:
    state: str
    parent: int
    started: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in brackets may itself hold spaces and brackets, so the fields are counted from behind the last one.
    fields = text.rpartition(")")[2].split()
    return _Stat(state=fields[0], parent=int(fields[1]), started=int(fields[19]))


def _boot() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal())


def _proportional(pid: int) -> int:
    with suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def spawn(command: Sequence[str], *, directory: Path, log: Path, environ: Mapping[str, str]) -> Process:
    """Start a server in a session of its own, so that Ctrl-C in the terminal does not reach it.

    It runs in ``directory``, reads nothing and appends what it says to ``log``.
    """
    env = shutil.which("env") or "/usr/bin/env"
    # Not subprocess.Popen: the server outlives us by design, and a Popen object would complain of that.
    pid = os.posix_spawn(
        env,
        ["env", "-C", str(directory), *command],
        environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        # Python ignores SIGPIPE, and a shell's background job ignores SIGINT; a server must not inherit that.
        setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP],
    )
    process = Process.of(pid)
    # A child that has ended stays visible as a zombie until it is reaped, so that it is there even then.
    return process if process is not None else Process(pid=pid, started=-1, boot=_boot())


def of_program(program: Path, *, directory: Path) -> list[Process]:
    """Give the running processes of an executable that work in ``directory``."""
    found = []
    for pid in _pids():
        try:
            same = (PROC / str(pid) / "exe").readlink() == program and (PROC / str(pid) / "cwd").readlink() == directory
        except OSError:
            continue
        process = Process.of(pid) if same else None
        if process is not None and process.alive():
            found.append(process)
    return found


def holder_of_port(port: int) -> str | None:
    """Name the process that listens on a TCP port, for example ``java (pid 4711)``; None where /proc does not tell."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for pid in _pids() if sockets else ():
        try:
            if any(str(handle.readlink()) in sockets for handle in (PROC / str(pid) / "fd").iterdir()):
                return f"{(PROC / str(pid) / 'comm').read_text().strip()} (pid {pid})"
        except OSError:
            continue
    return None


def _listening(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Ask until the condition holds or the time is over; say whether it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
