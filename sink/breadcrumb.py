"""What was being decoded when the process died: one small file a dataset, read at the next start.

A message that ends the process (a fault in native code, memory without bound) would end it again after every restart.
So the offsets that are decoded stand in a file meanwhile. It is written without fsync: what the process wrote survives
its death in the kernel's cache, and the death of the host is no fault of a message.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Offsets [start, end) of one partition, and how often the process has died while it decoded them."""

    partition: int
    start: int
    end: int
    crashes: int


def default_directory() -> Path:
    """Give the folder for state where none is set: of this user alone, within the one for temporary files."""
    return Path(tempfile.gettempdir()) / f"kafka-timescale-sink-{os.getuid()}"


class Breadcrumb:
    """The file of one dataset's present decoding, and the stretches at which the process died before.

    ``suspects`` are decoded one message at a time until they have passed. Two processes of one dataset have a file
    each: a lock, which the kernel drops when its holder dies, tells which file nobody uses.
    """

    def __init__(self, directory: Path, *scope: str) -> None:
        """Take over the file of a process that is gone, or make a new one.

        ``scope`` says what the offsets belong to: cluster, topic, group. Where nothing can be written the sink runs
        without, and says so.
        """
        self.path = directory
        self.suspects: list[Stretch] = []
        self._decoding: Sequence[Stretch] = ()
        self._file: int | None = None
        # a replay's group has a slash, which would be another folder
        name = f"{scope[-1].replace('/', '-')}-{hashlib.sha256(repr(scope).encode()).hexdigest()[:8]}"
        try:
            _own(directory)
            self.path, self._file = _lock(directory, name)
            self._find_out(os.pread(self._file, _LARGEST, 0))
        except OSError as error:
            log.warning(
                "the sink cannot remember which message ends it; set SINK_STATE_DIRECTORY to a folder of its own",
                directory=str(directory),
                error=error.strerror or str(error),
            )

    def enter(self, stretches: Sequence[Stretch]) -> None:
        """Note what is decoded now; ``crashes`` are those that came before."""
        self._decoding = stretches
        self._write()

    def leave(self) -> None:
        """Note that the last :meth:`enter` was survived."""
        self._decoding = ()
        self._write()

    def passed(self, partition: int, offset: int) -> None:
        """Suspect a partition's messages up to and with this offset no more; written with the next change."""
        self.suspects = [
            stretch if stretch.partition != partition else replace(stretch, start=max(stretch.start, offset + 1))
            for stretch in self.suspects
            if stretch.partition != partition or stretch.end > offset + 1
        ]

    def crashes(self, partition: int, offset: int) -> int:
        """Count the deaths that this message may have caused."""
        return max((one.crashes for one in self.suspects if _holds(one, partition, offset)), default=0)

    def close(self) -> None:
        """Let the file go; it stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _find_out(self, content: bytes) -> None:
        """Read what the process before left; one that ended in good order was decoding nothing."""
        try:
            # the rest of a longer text may follow the first line
            noted = json.loads(content.split(b"\n", 1)[0] or b"{}")
            known, died = (_stretches(noted.get(name, ())) for name in ("suspects", "decoding"))
        except (ValueError, TypeError, AttributeError):
            log.warning("not a file of the sink; what it may have said is lost", file=str(self.path))
            return
        blamed = [replace(stretch, crashes=stretch.crashes + 1) for stretch in died]
        self.suspects = [one for one in known if not any(_same(one, other) for other in blamed)] + blamed
        for stretch in blamed:
            log.warning(
                "the process before died while it decoded; these messages are now decoded one by one",
                partition=stretch.partition,
                offsets=[stretch.start, stretch.end],
                crashes=stretch.crashes,
            )
        self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        noted = {"suspects": _plain(self.suspects), "decoding": _plain(self._decoding)}
        try:
            os.pwrite(self._file, json.dumps(noted).encode() + b"\n", 0)
        except OSError as error:  # a full disk must not stop the data
            log.warning("the breadcrumb cannot be written", file=str(self.path), error=error.strerror)
            self.close()


def _own(directory: Path) -> None:
    """Make the folder; refuse one that others could have prepared for us."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat(follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode) or (directory == default_directory() and found.st_uid != os.getuid()):
        raise PermissionError(1, "the folder belongs to somebody else")


def _lock(directory: Path, name: str) -> tuple[Path, int]:
    """Open the first file of this name that no living process holds."""
    for number in count():
        path = directory / f"{name}.{number}.json"
        file = os.open(path, _FLAGS, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return path, file
    raise AssertionError("numbers do not end")


def _stretches(noted: Iterable[Sequence[int]]) -> list[Stretch]:
    return [
        Stretch(partition=int(partition), start=int(start), end=int(end), crashes=int(crashes))
        for partition, start, end, crashes in noted
    ]


def _plain(stretches: Iterable[Stretch]) -> list[tuple[int, int, int, int]]:
    return [(one.partition, one.start, one.end, one.crashes) for one in stretches]


def _holds(stretch: Stretch, partition: int, offset: int) -> bool:
    return stretch.partition == partition and stretch.start <= offset < stretch.end


def _same(one: Stretch, other: Stretch) -> bool:
    return (one.partition, one.start, one.end) == (other.partition, other.start, other.end)
