"""Dump files as payloads, in the order of the file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sink.errors import BadFile
from sink.producing.dumps.cells import CellError, TooPreciseError, rounded
from sink.producing.dumps.files import cells, lines, verify_checksum
from sink.producing.dumps.layout import is_header
from sink.producing.dumps.names import Dump
from sink.producing.payload import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class LineNote:
    """What is to be said about one line: where it stands, and what is wrong with it."""

    path: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: {self.reason}"


def stop(bad: LineNote) -> NoReturn:
    """End at the first bad line: what is done with them unless the caller says otherwise."""
    raise BadFile(f"{bad}; --skip-bad-lines leaves such lines out and counts them")


def pass_over(_: LineNote) -> None:
    """Say nothing of a line that was rounded."""


def read(
    dump: Dump, *, on_bad_line: Callable[[LineNote], None] = stop, on_rounded: Callable[[LineNote], None] = pass_over
) -> Iterator[Payload]:
    """Verify the checksum where there is one, then give the payloads of a dump one by one, in constant memory.

    ``on_bad_line`` is told of every line that cannot be read, which is then left out; by default it raises BadFile.
    ``on_rounded`` is told of every line with a value of more than 18 digits after the point, which is rounded there.
    Raises BadFile where the file as a whole cannot be read, or its header lacks a column.
    """
    verify_checksum(dump.path)
    layout, parse, symbol = dump.kind.layout, dump.kind.parse, dump.symbol
    arrange: Callable[[list[str]], list[str]] = layout.by_position
    first = True
    for number, line in lines(dump.path):
        try:
            row = cells(line)
            if first:
                first = False
                if is_header(row):
                    arrange = _arranged(dump, number, row)
                    continue
            row = arrange(row)
            try:
                payload = parse(symbol, row)
            except TooPreciseError as error:
                payload = parse(symbol, [rounded(cell) for cell in row])
                on_rounded(LineNote(path=dump.path, line=number, reason=f"{error}; rounded"))
        except (CellError, csv.Error) as error:
            on_bad_line(LineNote(path=dump.path, line=number, reason=str(error)))
        else:
            yield payload


def _arranged(dump: Dump, number: int, header: list[str]) -> Callable[[list[str]], list[str]]:
    """Read the header; without it no line can be read, so that a bad one ends the file whatever the caller says."""
    try:
        return dump.kind.layout.arrange(header)
    except CellError as error:
        raise BadFile(f"{dump.path}, line {number}: {error}; is this a {dump.kind.name} file?") from error
