"""Copies pieces in COPY's binary form from a file, each in a transaction of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

LENGTH = 8


def main() -> None:
    """Copy every piece, one after the other."""
    path, url, statement = sys.argv[1:]
    with Path(path).open("rb") as pieces, psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.cursor()
        while length := pieces.read(LENGTH):
            data = pieces.read(int.from_bytes(length, "big"))
            with cursor.copy(statement.encode()) as copy:
                copy.write(data)


if __name__ == "__main__":
    main()
