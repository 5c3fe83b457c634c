"""How a kind of dump lays out its lines, with a header or without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from sink.producing.dumps.cells import CellError
from sink.producing.payload import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns of one kind of dump, in the order of files without a header.

    The first ``required`` columns must be there; ``aliases`` are further names that headers use for a column.
    """

    columns: tuple[str, ...]
    required: int
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def arrange(self, header: Sequence[str]) -> Callable[[list[str]], list[str]]:
        """Give the function that brings the cells of a file with this header into the order of ``columns``."""
        names = [self.aliases.get(name, name) for name in (cell.strip().lower() for cell in header)]
        missing = [name for name in self.columns[: self.required] if name not in names]
        if missing:
            raise CellError(f"the header lacks {', '.join(missing)}; it has {', '.join(names)[:200]}")
        places = [names.index(name) if name in names else None for name in self.columns]

        def arranged(cells: list[str]) -> list[str]:
            if len(cells) != len(names):
                raise CellError(f"{len(cells)} cells under a header of {len(names)}")
            return ["" if place is None else cells[place] for place in places]

        return arranged

    def by_position(self, cells: list[str]) -> list[str]:
        """Take the cells of a file without a header, filling up columns that older files do not have."""
        missing = len(self.columns) - len(cells)
        if missing < 0 or len(cells) < self.required:
            raise CellError(f"{len(cells)} cells, where {self.required} to {len(self.columns)} are expected")
        return cells + [""] * missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of dump: the exchange's word for it, the dataset it feeds, its layout, and how a line is read."""

    name: str
    dataset: str
    layout: Layout
    parse: Callable[[str, list[str]], Payload]
    """Makes the payload of a symbol and the cells in the order of the layout; raises CellError."""


def is_header(cells: Sequence[str]) -> bool:
    """Say whether the first line of a file names columns: its first cell starts with a letter, data never does."""
    return cells[0].strip()[:1].isalpha()
