"""FundingRate dumps: one funding of a perpetual swap a line."""

from __future__ import annotations

from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation

from sink.db.payloads import FundingPayload
from sink.producing.dumps.cells import CellError, amount, epoch_time, fits, optional_count
from sink.producing.dumps.layout import Kind, Layout

HOURS_A_YEAR = 24 * 365
_EXACT = Context(prec=60, traps=[InvalidOperation, Inexact])
_LAYOUT = Layout(columns=("calc_time", "funding_interval_hours", "last_funding_rate"), required=3)


def annualised(rate: Decimal, *, interval_hours: Decimal | int) -> Decimal | None:
    """Give the rate of a year of such fundings, or None where it cannot be stored exactly."""
    try:
        value = _EXACT.divide(_EXACT.multiply(rate, HOURS_A_YEAR), Decimal(interval_hours))
    except DecimalException:
        return None
    return value if fits(value) else None


def _parse(symbol: str, cells: list[str]) -> FundingPayload:
    calculated, interval, rate = cells
    funding_ts = epoch_time(calculated, "calc_time")
    hours = optional_count(interval, "funding_interval_hours")
    if hours == 0:
        raise CellError("funding_interval_hours is 0")
    funding_rate = amount(rate, "last_funding_rate")
    return FundingPayload(
        symbol=symbol,
        funding_ts=funding_ts,
        funding_rate=funding_rate,
        annualised_rate=None if hours is None else annualised(funding_rate, interval_hours=hours),
        observed_at=funding_ts,
    )


FUNDING_RATE = Kind(name="fundingRate", dataset="funding", layout=_LAYOUT, parse=_parse)
