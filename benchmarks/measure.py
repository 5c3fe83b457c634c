"""CPU time, peak memory and steal, as /proc shows them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _CHILDREN_KERNEL = 1, 11, 14
"""Fields of /proc/PID/stat behind the name: the parent, and the first and last of four times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """CPU seconds so far of all processors of the machine, and how many of them another guest took."""

    total: float
    stolen: float

    @classmethod
    def now(cls) -> Cpu:
        """Read it."""
        fields = [int(one) / TICKS for one in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
        return cls(total=sum(fields), stolen=fields[7])

    def steal_since(self, before: Cpu) -> float:
        """Give the share of the machine that others took, in percent."""
        return 100 * (self.stolen - before.stolen) / max(self.total - before.total, 1e-9)


def seconds(pid: int, *, but: int | None = None) -> float:
    """Give the CPU seconds of a process and all its descendants, also of those that have ended; ``but`` one of them.

    A process that has ended counts with whoever waited for it, so that every second is counted once.
    """
    return sum(sum(times[_USER : _CHILDREN_KERNEL + 1]) for child, times in _tree(pid) if child != but) / TICKS


def peak_memory(pid: int) -> int:
    """Give the sum of the highest resident memory of a process and its living descendants, in bytes."""
    return sum(_peak(child) for child, _ in _tree(pid))


def _peak(pid: int) -> int:
    with suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _tree(root: int) -> Iterator[tuple[int, list[int]]]:
    known = {int(entry.name): _stat(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdecimal()}
    children: dict[int, list[int]] = {}
    for pid, fields in known.items():
        if fields:
            children.setdefault(fields[_PARENT], []).append(pid)
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        fields = known.get(pid) or []
        if fields:
            waiting += children.get(pid, [])
            yield pid, fields


def _stat(pid: int) -> list[int]:
    with suppress(OSError):
        # the name in brackets may hold anything, so the fields are counted from behind it; the first is a letter
        text = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return [0, *map(int, text[1:])]
    return []
