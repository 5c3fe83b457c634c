"""Run the commands of the project as processes, the way a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fix_database import REPOSITORY

BIN = Path(sys.executable).parent


def environment(database_url: str) -> dict[str, str]:
    """Give the present environment with another database."""
    return {**os.environ, "DATABASE_URL": database_url}


def run(
    arguments: Sequence[str], *, database_url: str, directory: Path = REPOSITORY, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run ``alembic ...``, ``sink ...`` or another command of the environment to its end."""
    return subprocess.run(
        [str(BIN / arguments[0]), *arguments[1:]],
        cwd=directory,
        env=environment(database_url),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def start(arguments: Sequence[str], *, database_url: str) -> subprocess.Popen[str]:
    """Start a command whose end the test waits for itself."""
    return subprocess.Popen(
        [str(BIN / arguments[0]), *arguments[1:]],
        cwd=REPOSITORY,
        env=environment(database_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
