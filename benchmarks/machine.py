"""What a run ran on: the machine, the operating system, the versions."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sink.stack.downloads import KAFKA

_LIBRARIES = ("confluent-kafka", "fastavro", "polars", "psycopg", "pyarrow", "pgpq")
ROOT = Path(__file__).parents[1]


def described() -> dict[str, Any]:
    """Describe this machine; nothing in it names a person or a host."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "kafka": KAFKA,
        "revision": _revision(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def load() -> float:
    """Give how many processes wanted a processor over the last minute: more than none of ours is someone else."""
    return os.getloadavg()[0]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _revision() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - wherever git is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout.strip() or "unknown"
