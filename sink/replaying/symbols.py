"""Leaves out the records of symbols that nobody asked for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import polars as pl

from sink.avro.decode import Decoder
from sink.batch import MESSAGE, Decoded, Messages


class OnlySymbols:
    """A decoder whose good records of other symbols are counted as ignored; bad messages tell no symbol and stay."""

    def __init__(self, decoder: Decoder, symbols: Collection[str]) -> None:
        self._decoder = decoder
        self._symbols = sorted(symbols)
        self.unseen = set(symbols)
        """Symbols asked for that have not occurred yet."""

    def decode(self, messages: Messages) -> Decoded:
        """Decode messages of one topic, in their order."""
        decoded = self._decoder.decode(messages)
        wanted = pl.col("symbol").is_in(self._symbols).fill_null(value=False)
        kept = decoded.frame.filter(wanted)
        self.unseen.difference_update(kept["symbol"].unique())
        ignored = decoded.frame.filter(~wanted)[MESSAGE].to_list()
        return replace(decoded, frame=kept, ignored=ignored)
