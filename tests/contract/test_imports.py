"""What a command imports before it works: every library costs each start its time, so counted are modules, not time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest
import typer.main

from sink.cli import COMMANDS, app
from tests.fix_sink import clean_environment

ENDED = """
import json, sys
from sink.__main__ import main
try:
    main()
except SystemExit as end:
    print(json.dumps({"code": end.code, "modules": list(sys.modules)}), file=sys.stderr)
"""
DATA = {"polars", "pyarrow", "pgpq", "fastavro"}
SERVICES = {"confluent_kafka", "httpx", "psycopg"}
TABLES = {"sqlalchemy", "alembic", "mako"}
SETTINGS = {"DATABASE_URL": "postgresql+psycopg://localhost/x", "SINK_KAFKA__BOOTSTRAP_SERVERS": "localhost:1"}


def imported(arguments: list[str], directory: Path) -> tuple[int, set[str]]:
    """Run a command in a process of its own; give its exit code and what it had imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", ENDED, *arguments],
        cwd=directory,
        env={**clean_environment(), **SETTINGS, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = json.loads(done.stderr.splitlines()[-1])
    return told["code"], set(told["modules"])


@pytest.mark.parametrize(
    ("arguments", "code", "unneeded"),
    [
        (["--help"], 0, DATA | SERVICES | TABLES | {"sink.settings", "sink.datasets"}),
        (["stack", "--help"], 0, DATA | SERVICES | TABLES | {"sink.settings", "sink.datasets"}),
        (["config", "--json"], 0, DATA | {"confluent_kafka", "httpx"} | {"alembic", "mako", "rich.markdown"}),
        (["check", "--help"], 0, DATA - {"fastavro"} | {"alembic", "mako", "sink.pipeline"}),
        # refused once all is loaded that it needs to begin; the page of commands is not
        (["run", "weather"], 2, {"alembic", "mako", "rich.markdown", "markdown_it", "pyarrow", "sink.stack"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_imports_only_what_it_needs(
    arguments: list[str], code: int, unneeded: AbstractSet[str], tmp_path: Path
) -> None:
    ended, modules = imported(arguments, tmp_path)
    assert ended == code
    assert modules & unneeded == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_first_line_of_their_help_says(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert " ".join(command.help.split("\n\n")[0].split()) == COMMANDS[name]
