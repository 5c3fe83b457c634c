"""Metrics dumps: one snapshot of a future's open interest a line, every five minutes."""

from __future__ import annotations

from sink.db.payloads import OpenInterestPayload
from sink.producing.dumps.cells import amount, optional_amount, text_time
from sink.producing.dumps.layout import Kind, Layout

_LAYOUT = Layout(
    columns=(
        "create_time",
        "symbol",
        "sum_open_interest",
        "sum_open_interest_value",
        "count_toptrader_long_short_ratio",
        "sum_toptrader_long_short_ratio",
        "count_long_short_ratio",
        "sum_taker_long_short_vol_ratio",
    ),
    required=3,
)


def _parse(symbol: str, cells: list[str]) -> OpenInterestPayload:
    """Read a snapshot; the symbol is the file's, so that ``--symbol`` can rename it, and its own column is not read."""
    snapshot_ts = text_time(cells[0], "create_time")
    return OpenInterestPayload(
        symbol=symbol,
        snapshot_ts=snapshot_ts,
        open_interest=amount(cells[2], "sum_open_interest"),
        open_interest_usd=optional_amount(cells[3], "sum_open_interest_value"),
        observed_at=snapshot_ts,
    )


METRICS = Kind(name="metrics", dataset="oi_snapshots", layout=_LAYOUT, parse=_parse)
