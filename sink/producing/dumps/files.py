"""Dump files as lines of cells: zip or plain, checked against their checksum, in constant memory."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO

from sink.errors import BadFile

# The longest line of a real dump has some 200 characters; the limit keeps a file without line ends out of memory.
_LONGEST_LINE = 65_536
_CHECKSUM = re.compile(r"([0-9a-fA-F]{64})(\s.*)?", re.DOTALL)
# What zipfile raises for damaged, encrypted or exotic archives.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OverflowError)


def verify_checksum(path: Path) -> bool:
    """Compare a file with the sha256 in ``<file>.CHECKSUM`` beside it; False where there is none.

    Raises BadFile where they differ or the checksum file is not one.
    """
    beside = path.with_name(path.name + ".CHECKSUM")
    try:
        with beside.open("rb") as file:
            text = file.read(1024).decode("ascii", errors="replace").lstrip("\ufeff").strip()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise BadFile(f"{beside} cannot be read: {error.strerror}") from error
    match = _CHECKSUM.fullmatch(text)
    if match is None:
        raise BadFile(f"{beside} holds no sha256; fetch it again or remove it")
    try:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from error
    if actual != match[1].lower():
        raise BadFile(f"{path} has sha256 {actual}, but {beside.name} says {match[1].lower()}; fetch the file again")
    return True


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give the lines that are not blank, each with its number; zip archives are read as they are unpacked.

    Raises BadFile where the file cannot be opened or unpacked, or has a line too long to be one.
    """
    number = 0
    try:
        with _open(path) as text:
            while line := text.readline(_LONGEST_LINE):
                number += 1
                if len(line) == _LONGEST_LINE:
                    raise BadFile(f"{path}, line {number}: longer than {_LONGEST_LINE} characters; this is no dump")
                line = line.rstrip("\n")
                if line and not line.isspace():
                    yield number, line
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror or error}") from error
    except _ZIP_ERRORS as error:
        raise BadFile(f"{path}, after line {number}: the archive cannot be unpacked: {error}") from error


def cells(line: str) -> list[str]:
    """Split one line at its commas, heeding quotes; raises csv.Error where they do not match."""
    if '"' in line:
        split: list[str] = next(csv.reader((line,), strict=True))
    else:
        split = line.split(",")
    return [cell.strip() for cell in split]


def first_cells(path: Path) -> list[str] | None:
    """Give the cells of the first line, or None where the file has none."""
    for number, line in lines(path):
        try:
            return cells(line)
        except csv.Error as error:
            raise BadFile(f"{path}, line {number}: {error}") from error
    return None


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    with path.open("rb") as raw:
        if zipfile.is_zipfile(raw):
            with zipfile.ZipFile(raw) as archive, archive.open(_only_csv(path, archive)) as member:
                yield _text(io.BufferedReader(member, 1 << 18))  # type: ignore[type-var] # ZipExtFile lacks a stub of readinto
        elif path.suffix.lower() == ".zip":
            raise BadFile(f"{path} is no zip archive; fetch it again")
        else:
            raw.seek(0)
            yield _text(raw)


def _text(binary: IO[bytes]) -> TextIO:
    # Bytes that are no text become a mark that no cell accepts, so that the line that has them is named.
    return io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace")


def _only_csv(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    found = [
        info
        for info in archive.infolist()
        if info.filename.lower().endswith(".csv") and not info.filename.startswith("__MACOSX/")
    ]
    if len(found) != 1:
        raise BadFile(f"{path} holds {len(found)} csv files, where one is expected")
    return found[0]
