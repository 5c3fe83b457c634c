"""Text cells of a dump into exact values: decimals, counts, truth values, times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, DecimalException, Inexact, InvalidOperation

from sink.db.models import PRECISION, SCALE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SMALLEST = Decimal(1).scaleb(-SCALE)
_FIT = Context(prec=PRECISION, traps=[InvalidOperation, Inexact])
_ROUND = Context(prec=PRECISION, rounding=ROUND_HALF_UP, traps=[InvalidOperation])
_BIGINT = 2**63 - 1
# 2009 (the first bitcoin) to 2100, in milliseconds; in microseconds both are a thousand times greater, so that the
# magnitude alone tells the unit.
_FIRST_MS, _LAST_MS = 1_230_768_000_000, 4_102_444_800_000


class CellError(ValueError):
    """A cell cannot be read; the message says which value and why, the reader adds file and line."""


class TooPreciseError(CellError):
    """A decimal has more digits behind the point than a column keeps."""


def fits(value: Decimal) -> bool:
    """Say whether a finite decimal is stored without rounding, that is, fits numeric(38, 18)."""
    try:
        return _FIT.quantize(value, _SMALLEST).is_finite()
    except DecimalException:
        return False


def amount(text: str, name: str) -> Decimal:
    """Read a decimal, plain or in scientific notation, exactly as written."""
    try:
        value = Decimal(text)
        if _FIT.quantize(value, _SMALLEST).is_finite() and "_" not in text:
            return value
    except Inexact:
        raise TooPreciseError(f"{name} is {text!r}, with more than {SCALE} digits after the point") from None
    except DecimalException:
        pass
    raise CellError(f"{name} is {text!r}, not a decimal with at most {PRECISION - SCALE} digits before the point")


def rounded(text: str) -> str:
    """Round a decimal to the digits that a column keeps, as PostgreSQL would; other text stays as it is.

    Real files hold such values where the exchange printed a binary float: -0.0021933400000000002 for -0.00219334.
    """
    try:
        value = Decimal(text)
        return text if fits(value) else str(_ROUND.quantize(value, _SMALLEST))
    except DecimalException:
        return text


def optional_amount(text: str, name: str) -> Decimal | None:
    """Read a decimal; a blank cell is None."""
    return amount(text, name) if text else None


def count(text: str, name: str) -> int:
    """Read a whole number that is not negative and fits a bigint."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(_BIGINT)) and (value := int(text)) <= _BIGINT:
        return value
    raise CellError(f"{name} is {text!r}, not a whole number from 0 to {_BIGINT}")


def optional_count(text: str, name: str) -> int | None:
    """Read a whole number; a blank cell is None."""
    return count(text, name) if text else None


def truth(text: str, name: str) -> bool:
    """Read true or false in any case of letters."""
    word = text.lower()
    if word == "true":
        return True
    if word == "false":
        return False
    raise CellError(f"{name} is {text!r}, neither true nor false")


def epoch_time(text: str, name: str) -> datetime:
    """Read a time counted from 1970 in milliseconds or microseconds; its magnitude tells which.

    Spot files changed from milliseconds to microseconds on 2025-01-01. Anything outside 2009-2100 in both units is
    refused: seconds and nanoseconds do not occur in these files.
    """
    number = count(text, name)
    if _FIRST_MS <= number < _LAST_MS:
        seconds, milliseconds = divmod(number, 1000)
        return EPOCH + timedelta(0, seconds, milliseconds * 1000)
    if _FIRST_MS * 1000 <= number < _LAST_MS * 1000:
        seconds, microseconds = divmod(number, 1_000_000)
        return EPOCH + timedelta(0, seconds, microseconds)
    raise CellError(f"{name} is {text!r}, which is a time after 2009 neither in milliseconds nor in microseconds")


def text_time(text: str, name: str) -> datetime:
    """Read a time written as ``2024-01-01 00:05:00`` (UTC), or counted from 1970."""
    if text.isdigit():
        return epoch_time(text, name)
    try:
        # UTC is what the exchange documents; the text itself names no zone.
        value = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise CellError(f"{name} is {text!r}, not a time such as 2024-01-01 00:05:00") from None
    epoch_time(str(int(value.timestamp()) * 1000), name)
    return value
