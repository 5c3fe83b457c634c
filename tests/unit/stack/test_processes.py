from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sink.stack.processes import Process, of_program, spawn, wait_until
from sink.stack.record import Record

ENVIRON = {"PATH": os.environ["PATH"]}


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    """Start a process that would sleep for a minute."""
    process = spawn(["sleep", "60"], directory=tmp_path, log=tmp_path / "log", environ=ENVIRON)
    yield process
    process.signal(signal.SIGKILL)
    assert wait_until(lambda: not process.alive(), seconds=5)


def test_a_spawned_process_has_its_own_session_folder_and_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "pwd; cut -d' ' -f6 /proc/self/stat; echo $$; echo oops >&2; echo ${SECRET-clean}"
    process = spawn(["sh", "-c", script], directory=tmp_path, log=log, environ=ENVIRON)
    assert wait_until(lambda: not process.alive(), seconds=5)
    where, session, pid, said, secret = log.read_text().split()
    assert (where, session, pid) == (str(tmp_path), str(process.pid), str(process.pid))
    assert (said, secret) == ("oops", "clean")


def test_a_process_is_alive_until_it_ends(sleeper: Process) -> None:
    assert sleeper.alive()
    assert sleeper.memory() > 0
    sleeper.signal(signal.SIGTERM)
    assert wait_until(lambda: not sleeper.alive(), seconds=5)
    assert Process.of(sleeper.pid) is None, "a zombie of ours is left"


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another"}])
def test_another_process_with_the_same_pid_is_neither_taken_for_ours_nor_hit(
    sleeper: Process, change: dict[str, int | str]
) -> None:
    other = replace(sleeper, **change)  # type: ignore[arg-type] # fields of either type
    assert not other.alive()
    other.signal(signal.SIGKILL)
    assert sleeper.alive()


def test_a_process_is_found_by_program_and_folder(sleeper: Process, tmp_path: Path) -> None:
    program = Path(shutil.which("sleep") or "").resolve()
    assert wait_until(lambda: of_program(program, directory=tmp_path) == [sleeper], seconds=5)
    assert of_program(program, directory=tmp_path.parent) == []


def test_a_record_survives_being_written_and_read(sleeper: Process, tmp_path: Path) -> None:
    path = tmp_path / "new" / "broker.json"
    kept = Record(ports={"main": 1, "controller": 2}, process=sleeper, started_on=1)
    kept.write(path)
    assert Record.read(path) == kept
    assert Record.read(path).running() == sleeper
    assert Record.read(tmp_path / "none.json") == Record()


def test_waiting_ends_when_the_time_is_over() -> None:
    assert not wait_until(lambda: False, seconds=0)
