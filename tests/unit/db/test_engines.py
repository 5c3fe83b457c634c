"""Engines: one per database and process, of one driver only."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sink.db import engine_for
from sink.errors import ConfigError

URL = "postgresql+psycopg://user:secret@localhost:1/nowhere"
FORKING = f"""
import os
from sink.db import engine_for

parents = engine_for({URL!r})
child = os.fork()
if not child:
    os._exit(engine_for({URL!r}) is parents)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
raise SystemExit(status or engine_for({URL!r}) is not parents)
"""


def test_one_database_has_one_engine_and_another_one_its_own() -> None:
    assert engine_for(URL) is engine_for(URL)
    assert engine_for(URL) is not engine_for(URL + "2")


def test_a_forked_process_does_not_use_its_parents_connections() -> None:
    assert subprocess.run([sys.executable, "-c", FORKING], check=False).returncode == 0


def test_a_url_without_driver_means_psycopg() -> None:
    assert engine_for("postgresql://localhost:1/nowhere").driver == "psycopg"


def test_another_database_is_refused_without_showing_the_password() -> None:
    with pytest.raises(ConfigError, match="driver mysql") as caught:
        engine_for("mysql://user:secret@localhost/nowhere")

    assert "secret" not in str(caught.value)
