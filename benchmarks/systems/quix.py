"""Quix Streams with its PostgreSQL sink, in a locked environment of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import LiteralString

from benchmarks.systems.handwritten import settings_file
from benchmarks.systems.system import Command, Job, System
from sink.errors import ConfigError
from sink.stack.cache import Cache

REQUIREMENTS = Path(__file__).parent / "quix" / "requirements.txt"
PROGRAM = Path(__file__).parent / "programs" / "quix.py"
BATCH = 20_000
_LONGEST = 1800


class Quix(System):
    """Its Application with a deserializer that skips the header, and its sink with upsert on the primary key."""

    name = "quix"
    title = "Quix Streams 3 with its PostgreSQL sink"
    ends = False

    def missing(self) -> str | None:
        """Say what it takes to make its environment."""
        beside = Path(sys.executable).with_name("uv")
        return None if beside.is_file() or shutil.which("uv") else "needs uv; install with: pip install uv"

    def prepare(self) -> None:
        """Make its environment from the locked requirements, unless it is there."""
        self._python()

    def adapt(self) -> Sequence[LiteralString]:
        """Add the two columns that its sink always writes."""
        return (
            'ALTER TABLE trades ADD COLUMN "timestamp" timestamp, ADD COLUMN "__key" text',
            'ALTER TABLE candles_1m ADD COLUMN "timestamp" timestamp, ADD COLUMN "__key" text',
        )

    def command(self, job: Job) -> Command:
        """Run the program in its environment; it goes on at the end of the topic."""
        return Command(
            arguments=(str(self._python()), str(PROGRAM), str(settings_file(job, batch=BATCH))),
            environment={"HOME": str(job.directory)},
        )

    def _python(self) -> Path:
        digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
        folder = Cache.of_user(os.environ).folder(f"bench-quix-{digest}", _build)
        return folder / "bin" / "python"


def _build(part: Path, lock: int) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.is_file() else "uv"
    # relocatable: the folder is renamed once it is complete
    for command in (
        [uv, "venv", "--quiet", "--allow-existing", "--relocatable", "--python", sys.executable, str(part)],
        [uv, "pip", "sync", "--quiet", "--python", str(part / "bin" / "python"), "--require-hashes", str(REQUIREMENTS)],
    ):
        done = subprocess.run(  # noqa: S603 - fixed programs, arguments of our own
            command, capture_output=True, text=True, check=False, timeout=_LONGEST, pass_fds=[lock]
        )
        if done.returncode:
            raise ConfigError(f"{' '.join(command[:3])} ended with {done.returncode}:\n{done.stderr[-2000:]}")
