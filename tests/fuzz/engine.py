"""Mutates the corpus and runs a target on what comes out, guided by the outcomes that it gives."""

from __future__ import annotations

import hashlib
import random
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

CORPUS = Path(__file__).parent / "corpus"
LONGEST = 8_192
"""Bytes of an input."""
HANG = 10
"""Seconds after which a run counts as one that hangs."""
TOKENS = [
    *(b"\x00", b"\x01", b"\x02", b"\x7f", b"\x80", b"\xff", b"\xfe\xed", b"\x00\x00\x00\x00\x01", b"\xc3\x01"),
    *(b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x01", b"\xfe\xff\xff\xff\x0f", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
    *(
        b'"null"',
        b'"string"',
        b'"long"',
        b'{"type":"array","items":',
        b'{"type":"map","values":',
        b"[",
        b"]",
        b"}",
        b",",
    ),
    *(b'"market.Trade"', b'"name":', b'"size":', b'"scale":', b'"symbols":', b"-1", b"1e999", b"NaN", b"null"),
    *(b'"logicalType":"decimal"', b'"logicalType":"timestamp-micros"', b'"fixed"', b'"enum"', b'"record"', b'"bytes"'),
    *(b"\n", b"\r\n", b'"', b"1704067200000", b"Infinity", b"0x10", b"1_0", b"true", b"-0", b"9" * 40, b"\xef\xbb\xbf"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a stretch of fuzzing did; ``crash`` is the file of an input that broke the target."""

    runs: int
    seconds: float
    outcomes: int
    crash: Path | None
    trace: str = ""


def corpus_of(target: str) -> list[Path]:
    """Give the files of a target's corpus."""
    return sorted(path for path in (CORPUS / target).iterdir() if path.is_file())


def keep(target: str, data: bytes) -> Path:
    """Put an input that broke a target into its corpus."""
    path = CORPUS / target / f"crash-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def fuzz(target: str, run: Callable[[bytes], set[str]], *, seconds: float, dice: random.Random, current: Path) -> Ran:
    """Run a target on mutations of its corpus until the time is over or an input breaks it.

    ``current`` is the file that holds the input while it runs, for whoever finds this process dead.
    """
    seeds = [path.read_bytes() for path in corpus_of(target)]
    pool = list(seeds)
    seen: set[str] = set()
    began = time.monotonic()
    runs = 0
    signal.signal(signal.SIGALRM, _hangs)
    with current.open("wb", buffering=0) as file:
        while time.monotonic() - began < seconds:
            data = seeds[runs] if runs < len(seeds) else mutated(pool, dice)
            file.seek(0)
            file.truncate()
            file.write(data)
            signal.alarm(HANG)
            try:
                outcomes = run(data)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                spent = time.monotonic() - began
                trace = traceback.format_exc()
                return Ran(runs=runs + 1, seconds=spent, outcomes=len(seen), crash=keep(target, data), trace=trace)
            finally:
                signal.alarm(0)
            runs += 1
            if not outcomes <= seen:
                seen |= outcomes
                pool.append(data)
    return Ran(runs=runs, seconds=time.monotonic() - began, outcomes=len(seen), crash=None)


def mutated(pool: Sequence[bytes], dice: random.Random) -> bytes:
    """Give a mutation of one of these inputs."""
    data = bytearray(dice.choice(pool))
    for _ in range(dice.choice([1, 1, 1, 2, 3, 8])):
        dice.choice(_MUTATIONS)(data, dice, pool)
    return bytes(data[:LONGEST])


def _hangs(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"no end after {HANG} s")


def _place(data: bytearray, dice: random.Random) -> int:
    return dice.randrange(len(data) + 1)


def _flip(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _replace(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[dice.randrange(len(data))] = dice.randrange(256)


def _insert(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    at = _place(data, dice)
    data[at:at] = dice.choice(TOKENS)


def _overwrite(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    at, token = _place(data, dice), dice.choice(TOKENS)
    data[at : at + len(token)] = token


def _cut(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    at = _place(data, dice)
    del data[at : at + dice.choice([1, 1, 2, 8, 64])]


def _repeat(data: bytearray, dice: random.Random, _: Sequence[bytes]) -> None:
    at, size = _place(data, dice), dice.choice([1, 4, 16, 64])
    data[at:at] = data[at : at + size] * dice.choice([1, 2, 30])


def _splice(data: bytearray, dice: random.Random, pool: Sequence[bytes]) -> None:
    other = dice.choice(pool)
    at, start = _place(data, dice), dice.randrange(len(other) + 1)
    data[at : at + dice.choice([0, 4, 64])] = other[start : start + dice.choice([4, 16, 256])]


_MUTATIONS = [_flip, _replace, _insert, _overwrite, _cut, _repeat, _splice]
