"""Rows on disk in buckets by time, so that what has the same key meets in memory and never all at once."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from sink.errors import SinkError

BUCKET_ROWS = 100_000
"""Rows that a bucket holds on average."""
MOST_BUCKETS = 2_000
_BUCKET = "bucket"
_LENGTH = 8


def buckets_for(rows: int) -> int:
    """Say how many buckets so many rows want."""
    return max(1, min(MOST_BUCKETS, -(-rows // BUCKET_ROWS)))


def bucket_of(time: str, buckets: int) -> pl.Expr:
    """Say in which of so many buckets a row falls: by the hash of its time, so that it is the same for both sides."""
    return pl.col(time).cast(pl.Int64).hash(0) % buckets


class Spill:
    """Frames of one kind, kept in files of a directory; rows of the same ``time`` share a bucket.

    At most BUCKET_ROWS rows wait in memory. Raises SinkError where the directory has no room.
    """

    def __init__(self, directory: Path, name: str, *, time: str, buckets: int) -> None:
        self._directory = directory
        self._name = name
        self._time = time
        self._buckets = buckets
        self._waiting: list[pl.DataFrame] = []
        self._rows = 0
        self.total = 0
        """Rows added so far."""

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows."""
        if not frame.height:
            return
        self._waiting.append(frame)
        self._rows += frame.height
        self.total += frame.height
        if self._rows >= BUCKET_ROWS:
            self._write()

    def bucket(self, number: int) -> pl.DataFrame | None:
        """Give the rows of a bucket, None where it has none."""
        self._write()
        path = self._path(number)
        if not path.exists():
            return None
        parts = []
        with path.open("rb") as file:
            while length := file.read(_LENGTH):
                parts.append(pl.read_ipc_stream(io.BytesIO(file.read(int.from_bytes(length, "big")))))
        return pl.concat(parts)

    def _write(self) -> None:
        if not self._waiting:
            return
        frame = pl.concat(self._waiting).with_columns(bucket_of(self._time, self._buckets).alias(_BUCKET))
        self._waiting, self._rows = [], 0
        for (number,), part in frame.partition_by(_BUCKET, as_dict=True, include_key=False).items():
            held = io.BytesIO()
            part.write_ipc_stream(held)
            try:
                with self._path(number).open("ab") as file:
                    file.write(held.tell().to_bytes(_LENGTH, "big"))
                    file.write(held.getbuffer())
            except OSError as error:
                raise SinkError(
                    f"cannot write to {self._directory}: {error.strerror}. Name a directory with more room in TMPDIR,"
                    " or verify a shorter range"
                ) from error

    def _path(self, number: object) -> Path:
        return self._directory / f"{self._name}-{number}"
