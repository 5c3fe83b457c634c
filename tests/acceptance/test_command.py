"""The ``sink`` command as a process: what a user sees on stdout, stderr and as exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SINK = (sys.executable, "-m", "sink")


def sink(
    *arguments: str, directory: Path, stdout: int = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SINK_", "DATABASE_URL"))}
    environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    return subprocess.run(
        [*SINK, *arguments],
        cwd=directory,
        env=environ | variables,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )


def test_config_shows_what_is_in_force(tmp_path: Path) -> None:
    ended = sink("config", directory=tmp_path, DATABASE_URL="postgresql+psycopg://u:hunter2@h/db")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "DATABASE_URL=postgresql+psycopg://u:***@h/db  # environment\n" in ended.stdout
    rows = json.loads(sink("config", "--json", directory=tmp_path, SINK_BATCH__MAX_ROWS="7").stdout)
    assert {"variable": "SINK_BATCH__MAX_ROWS", "key": "batch.max_rows", "value": 7, "source": "environment"} in rows


def test_wrong_settings_end_with_code_2_and_without_a_traceback(tmp_path: Path) -> None:
    ended = sink("config", directory=tmp_path, SINK_BATCH_MAX_ROWS="7", SINK_CLOCK__TRADE="field")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        "error: the settings are wrong; nothing was started",
        "  - SINK_BATCH_MAX_ROWS (environment) is not a setting; did you mean SINK_BATCH__MAX_ROWS?",
        "  - SINK_CLOCK__TRADE (environment) is for no dataset; there are candles_1m, trades, oi_snapshots, funding",
    ]


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = sink("config", directory=tmp_path, stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")
