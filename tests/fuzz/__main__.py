"""``python -m tests.fuzz``: fuzz every target for a while, or replay the inputs that are named.

A target runs in a process of its own: what kills it (SIGSEGV, out of memory) is found in the file of its present input.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from sink import logs
from tests.fuzz.engine import CORPUS, fuzz, keep
from tests.fuzz.targets import TARGETS

MEMORY = 4 * 1024**3
"""Bytes of address space of a target: one that wants more has found a bomb."""


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def replay(paths: list[Path]) -> None:
    """Run each input again; its folder's name is its target."""
    for path in paths:
        say(f"{path}: {sorted(TARGETS[path.resolve().parent.name](path.read_bytes()))}")


def alone(target: str, seconds: float, seed: int, current: Path) -> int:
    """Fuzz one target in this process."""
    logs.configure(form="json", level="error", stream=sys.stderr)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    ran = fuzz(target, TARGETS[target], seconds=seconds, dice=random.Random(seed), current=current)
    rate = ran.runs / max(ran.seconds, 0.001)
    say(f"{target}: {ran.runs} executions, {rate:.0f}/s, {ran.outcomes} outcomes")
    if ran.crash is None:
        return 0
    say(ran.trace + found(ran.crash))
    return 1


def found(path: Path) -> str:
    """Say where an input was kept and how to see it again."""
    return f"it breaks the target; kept. Again: python -m tests.fuzz {path.relative_to(CORPUS.parents[2])}"


def every(targets: list[str], seconds: float, seed: int) -> int:
    """Fuzz the targets one after the other, each for its share of the time; give how many broke."""
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        for target in targets:
            current = Path(folder) / target
            options = ["--alone", target, "--seconds", str(seconds / len(targets)), "--seed", str(seed)]
            ended = subprocess.run(
                [sys.executable, "-m", "tests.fuzz", *options, "--current", str(current)],
                env={**os.environ, "POLARS_MAX_THREADS": "1"},  # handing few rows to threads costs more than it gains
                stderr=subprocess.DEVNULL,  # Polars tells there of every panic that is caught
                check=False,
            ).returncode
            if ended not in {0, 1}:
                say(f"{target}: ended with {ended}; {found(keep(target, current.read_bytes()))}")
            broken += ended != 0
    return broken


def main() -> int:
    """Read the arguments and do it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("inputs", nargs="*", type=Path, help="inputs to replay")
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--alone", choices=list(TARGETS), help=argparse.SUPPRESS)
    parser.add_argument("--current", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    seed = random.randrange(10**9) if given.seed is None else given.seed
    if given.inputs:
        replay(given.inputs)
        return 0
    if given.alone:
        return alone(given.alone, given.seconds, seed, given.current)
    say(f"seed {seed}")
    return 1 if every(given.target or list(TARGETS), given.seconds, seed) else 0


if __name__ == "__main__":
    sys.exit(main())
