"""A connection's traffic, counted message by message as libpq itself tells of it."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg.pq import Trace

# a message begins a line; statements of several lines go on in lines that look otherwise
_MESSAGE = re.compile(rb"^([FB])\t(\d+)\t(\w+)", re.MULTILINE)


@dataclass(slots=True)
class Traffic:
    """What went over a connection; ``kinds`` counts messages as (direction, kind)."""

    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    bytes_sent: int = 0
    bytes_received: int = 0

    @property
    def statements(self) -> int:
        """Statements that the server was told to run."""
        return self.kinds["F", "Query"] + self.kinds["F", "Execute"]

    @property
    def round_trips(self) -> int:
        """Times that the client waited for an answer before it could go on."""
        return self.kinds["B", "ReadyForQuery"] + self.kinds["B", "CopyInResponse"]


@contextmanager
def counted(connection: psycopg.Connection) -> Iterator[Traffic]:
    """Count what a connection sends and receives within the block; the counts are there when it has ended."""
    traffic = Traffic()
    with tempfile.TemporaryFile("w+b") as file:
        connection.pgconn.trace(file.fileno())
        connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        try:
            yield traffic
        finally:
            connection.pgconn.untrace()
        file.seek(0)
        for direction, length, kind in _MESSAGE.findall(file.read()):
            traffic.kinds[direction.decode(), kind.decode()] += 1
            if direction == b"F":
                traffic.bytes_sent += int(length)
            else:
                traffic.bytes_received += int(length)
