"""FundingRate dumps: one funding of a perpetual swap a line."""

from __future__ import annotations

from datetime import timedelta
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation

from sink.db.payloads import FundingPayload
from sink.producing.dumps.cells import CellError, amount, epoch_time, fits, optional_count
from sink.producing.dumps.layout import Kind, Layout

_YEAR = timedelta(days=365)
_SECOND = timedelta(seconds=1)
_EXACT = Context(prec=60, traps=[InvalidOperation, Inexact])
_LONGEST_HOURS = 24 * 365
_LAYOUT = Layout(columns=("calc_time", "funding_interval_hours", "last_funding_rate"), required=3)


def annualised(rate: Decimal, *, interval: timedelta) -> Decimal | None:
    """Give the rate of 365 days of fundings, one an interval (whole seconds); None where no exact one can be stored."""
    try:
        value = _EXACT.divide(_EXACT.multiply(rate, _YEAR // _SECOND), Decimal(interval // _SECOND))
    except DecimalException:
        return None
    return value if fits(value) else None


def _parse(symbol: str, cells: list[str]) -> FundingPayload:
    calculated, interval, rate = cells
    funding_ts = epoch_time(calculated, "calc_time")
    hours = optional_count(interval, "funding_interval_hours")
    if hours is not None and not 0 < hours <= _LONGEST_HOURS:
        raise CellError(
            f"funding_interval_hours is {interval!r}, not a whole number of hours from 1 to {_LONGEST_HOURS}"
        )
    funding_rate = amount(rate, "last_funding_rate")
    return FundingPayload(
        symbol=symbol,
        funding_ts=funding_ts,
        funding_rate=funding_rate,
        annualised_rate=None if hours is None else annualised(funding_rate, interval=timedelta(hours=hours)),
        observed_at=funding_ts,
    )


FUNDING_RATE = Kind(name="fundingRate", dataset="funding", layout=_LAYOUT, parse=_parse)
