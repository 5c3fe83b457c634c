"""What a dump holds, from its file name or from what the caller says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sink.datasets import DATASETS
from sink.errors import BadFile, ConfigError
from sink.producing.dumps.files import first_cells
from sink.producing.dumps.funding import FUNDING_RATE
from sink.producing.dumps.klines import KLINES
from sink.producing.dumps.layout import Kind
from sink.producing.dumps.metrics import METRICS
from sink.producing.dumps.trades import AGG_TRADES, TRADES, tell_apart

_KINDS = {kind.name.lower(): kind for kind in (TRADES, AGG_TRADES, FUNDING_RATE, METRICS)}
_KIND_OF_DATASET = {kind.dataset: kind for kind in (KLINES, TRADES, METRICS, FUNDING_RATE)}
_NAME = re.compile(
    r"(?P<symbol>.+?)-(?:(?P<kind>trades|aggTrades|fundingRate|metrics)|(?P<interval>\d+(?:mo|[smhdw])))"
    r"(?:-\d{4}-\d{2}(?:-\d{2})?)?\.(?:zip|csv)",
    re.IGNORECASE,
)
_SYMBOL_LENGTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """One dump file, of which kind it is, and the symbol its rows get."""

    path: Path
    symbol: str
    kind: Kind


def identify(path: Path, *, symbol: str | None = None, dataset: str | None = None) -> Dump:
    """Say what a dump holds; ``symbol`` and ``dataset`` come before what its name says.

    Names are the exchange's: ``XRPETH-trades-2019-10.zip``, ``BTCUSDT-1m-2024-01-01.csv``. Raises ConfigError where
    neither tells, or where the candles are not of one minute.
    """
    if dataset is not None and dataset not in DATASETS:
        raise ConfigError(f"there is no dataset {dataset!r}; choose one of {', '.join(DATASETS)}")
    match = _NAME.fullmatch(path.name)
    named = None if match is None else _named_kind(path, match, dataset)
    if dataset is None:
        if named is None:
            raise ConfigError(
                f"{path.name} does not say what it holds, as XRPETH-trades-2019-10.zip does; "
                "give --dataset (and --symbol)"
            )
        kind = named
    elif named is not None and named.dataset == dataset:
        kind = named
    else:
        kind = _kind_of(path, dataset)
    symbol = symbol or (None if match is None else match["symbol"])
    if symbol is None:
        raise ConfigError(f"{path.name} does not say of which symbol it is; give --symbol")
    if len(symbol) > _SYMBOL_LENGTH or not symbol.isprintable():
        raise ConfigError(f"{symbol!r} is no symbol: 1 to {_SYMBOL_LENGTH} printable characters")
    return Dump(path=path, symbol=symbol, kind=kind)


def _named_kind(path: Path, match: re.Match[str], dataset: str | None) -> Kind | None:
    interval: str | None = match["interval"]
    if interval is None:
        return _KINDS[match["kind"].lower()]
    if interval == "1m":
        return KLINES
    if dataset is None:
        raise ConfigError(
            f"{path.name} holds candles of {interval}; only 1-minute candles have a table, produce the 1m file instead"
        )
    return None


def _kind_of(path: Path, dataset: str) -> Kind:
    if dataset != TRADES.dataset:
        return _KIND_OF_DATASET[dataset]
    first = first_cells(path)
    if first is None:
        raise BadFile(f"{path} is empty")
    return tell_apart(first)
